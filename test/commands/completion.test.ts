import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { run } from '../support/child.ts';
import { command } from '../support/command.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import { ScriptedAdmin } from '../support/scripted-admin.ts';

const onepull = new URL('../../bin/onepull', import.meta.url).pathname;
const images = ['docker.io/library/nginx:1.29', 'docker.io/library/nginx:1.30', 'ghcr.io/org/app:1'];

/** How each shell is asked what it would suggest for a line, after it has read the script at `$1`. One suggestion a line. */
const shells = {
  bash: `source "$1"; COMP_LINE=$2; COMP_POINT=\${#2}; _onepull; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: `
    compdef() { registered="$*"; }
    _describe() { local name; for name in "\${(@P)2}"; do print -r -- "\${\${name//\\\\:/@}%%:*}" | tr @ :; done; }
    _files() { print -r -- "files $*"; }
    source "$1"
    [[ $registered = "_onepull onepull" ]] || print "not registered"
    words=("\${(z)2}"); [[ $2 == *' ' ]] && words+=(''); CURRENT=$#words
    _onepull`,
  fish: `source $argv[1]; complete -C $argv[2] | string replace -r '\\t.*' ''; true`,
} as const;

async function suggestions(
  shell: keyof typeof shells,
  line: string,
  environment: Readonly<Record<string, string>> = {},
) {
  await using folder = await TemporaryDirectory.make();
  const script = join(folder.path, 'completion');
  const printed = await command(['completion', shell]);
  assert.equal(printed.code, 0);
  await writeFile(script, `${printed.stdout}\n`);
  const options =
    shell === 'fish' ? ['--no-config', '-c', shells.fish, script, line] : ['-c', shells[shell], shell, script, line];
  const flags = shell === 'zsh' ? ['-f', ...options] : options;
  const path = `${dirname(onepull)}${delimiter}${process.env.PATH}`;
  const env = { ...process.env, HOME: folder.path, PATH: path, ...environment };
  const { code, stdout, stderr } = await run(shell, flags, { env, cwd: folder.path });
  assert.deepEqual([code, stderr], [0, ''], stdout);
  return stdout.split('\n').filter((text) => text !== '');
}

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  describe(`completion in ${shell}`, { skip: needs(shell), concurrency: 2 }, () => {
    test('commands, flags and their values', async () => {
      assert.deepEqual(await suggestions(shell, 'onepull cl'), ['clients', 'cluster']);
      assert.deepEqual(await suggestions(shell, 'onepull images --so'), ['--sort']);
      const orders = await suggestions(shell, 'onepull images --sort ');
      assert.deepEqual(orders.toSorted(), ['age', 'name', 'size', 'used']);
    });

    test('images of the running instance, whose names hold colons', async () => {
      await using admin = await ScriptedAdmin.start();
      admin.scripts.set('GET /api/v1/images', ({ path }) => {
        const search = new URL(path, 'http://x').searchParams.get('search') ?? '';
        const found = images.filter((image) => image.includes(search));
        return {
          json: { images: found.map((image) => ({ image, sizeBytes: 1, isPinned: false })), total: found.length },
        };
      });
      const environment = { ONEPULL_ADMIN: admin.host };
      const nginx = await suggestions(shell, 'onepull purge docker.io/library/ng', environment);
      assert.deepEqual(nginx, images.slice(0, 2));
      // To readline the word begins after the colon.
      const tags = shell === 'bash' ? ['1.29', '1.30'] : images.slice(0, 2);
      assert.deepEqual(await suggestions(shell, 'onepull pin docker.io/library/nginx:1', environment), tags);
    });

    test('nothing where nobody can be asked', async () => {
      const environment = { ONEPULL_ADMIN: '127.0.0.1:1' };
      assert.deepEqual(await suggestions(shell, 'onepull purge docker.io/', environment), []);
    });
  });
}

test('files are left to the shell', { skip: needs('bash', 'zsh', 'fish') }, async () => {
  assert.deepEqual(await suggestions('zsh', 'onepull serve --config /e'), ['files ']);
  assert.deepEqual(await suggestions('zsh', 'onepull serve --storage '), ['files -/']);
  assert.ok((await suggestions('fish', 'onepull serve --config comp')).includes('completion'));
  assert.deepEqual(await suggestions('bash', 'onepull serve --config comp'), []);
});

test('another shell is refused', async () => {
  const { code, stderr } = await command(['completion', 'tcsh']);
  assert.equal(code, 2);
  assert.match(stderr, /Allowed choices are bash, zsh, fish/);
});
