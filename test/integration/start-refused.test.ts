import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../support/child.ts';
import { freePort, TemporaryDirectory } from '../support/loopback.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { leavingNothing } from './scene.ts';

const program = new URL('../../bin/onepull', import.meta.url).pathname;

/** Runs `onepull serve`, which is expected to end by itself, on ports that are free unless told. */
async function serve(flags: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) {
  const all = { listen: `127.0.0.1:${await freePort()}`, admin: `127.0.0.1:${await freePort()}`, ...flags };
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  const { code, stdout, stderr } = await run(program, ['serve', ...args], { env: { ...process.env, ...env } });
  return { code, stdout, lines: stderr.split('\n') };
}

/** One line that says what is wrong, and nothing that looks as if it had run. */
function assertOneLine(result: Awaited<ReturnType<typeof serve>>, said: RegExp): void {
  assert.equal(result.code, 1);
  assert.equal(result.lines.length, 1, result.lines.join('\n'));
  assert.match(result.lines[0] ?? '', said);
  assert.doesNotMatch(result.stdout, /"event":"listening"/);
}

test('a second start on the same data is refused in one line that names the first; the first goes on', () =>
  leavingNothing(async () => {
    await using first = await OnepullProcess.start();
    const second = await serve({ storage: first.dataFolder });
    assertOneLine(
      second,
      new RegExp(`^onepull: the data directory ${first.dataFolder} is in use by process ${first.pid}$`),
    );
    assert.equal((await first.admin.get('/readyz')).status, 200);
  }));

test('after a kill -9 nothing is locked', async () => {
  await using onepull = await OnepullProcess.start();
  await onepull.restart('SIGKILL');
  assert.equal((await onepull.admin.get('/readyz')).status, 200);
});

for (const flag of ['listen', 'admin']) {
  test(`a ${flag} port that is taken is told in one line, with what sets it as a hint, and the data directory is free again`, () =>
    leavingNothing(async () => {
      await using folder = await TemporaryDirectory.make();
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
      const storage = join(folder.path, 'data');
      for (let times = 0; times < 2; times++) {
        const { code, stdout, lines } = await serve({ [flag]: taken, storage });
        assert.deepEqual(lines, [
          `onepull: cannot listen on ${taken}: another program uses it; change "${flag}"`,
          `    hint: --${flag} sets it`,
        ]);
        assert.equal(code, 1);
        assert.doesNotMatch(stdout, /"event":"listening"/);
      }
      other.close();
      await once(other, 'close');
    }));
}

test('a data directory that cannot be one is told in one line', () =>
  leavingNothing(async () => {
    await using folder = await TemporaryDirectory.make();
    const file = join(folder.path, 'file');
    await writeFile(file, 'not a directory');
    for (const storage of [file, join(file, 'below'), '/proc/onepull']) {
      assertOneLine(await serve({ storage }), new RegExp(`^onepull: cannot use the data directory ${storage}: `));
    }
  }));

test('a data directory whose inside is in the way is told in one line', () =>
  leavingNothing(async () => {
    await using folder = await TemporaryDirectory.make();
    const storage = join(folder.path, 'data');
    await mkdir(storage);
    await writeFile(join(storage, 'blobs'), '');
    assertOneLine(await serve({ storage }), /^onepull: .*data.*: /);
  }));

test('all that is wrong with a configuration is told at once, with its place and a hint, before anything listens', () =>
  leavingNothing(async () => {
    await using folder = await TemporaryDirectory.make();
    const config = join(folder.path, 'onepull.yaml');
    const storage = join(folder.path, 'data');
    await writeFile(
      config,
      `listn: 127.0.0.1:5000
storage: { path: ${storage}, maxSize: plenty }
upstreams:
  corp.example:
    url: registry.corp.example
    credentials: { username: someone, passwordFile: ${folder.path}/missing }
  other.example: { url: https://other.example, tagTtl: 60 }
pull: { headerTimeout: 60s }
`,
    );
    const { code, stdout, lines } = await serve({ config }, { ONEPULL_LOG_LEVEL: 'loud' });
    assert.equal(code, 2);
    assert.equal(stdout, '');
    const problems = [
      ['listn', '1:1', 'did you mean listen?'],
      ['storage.maxSize', '2:\\d+', 'a number of bytes'],
      ['upstreams', '3:1', 'default: true'],
      ['upstreams.corp.example.url', '5:5', 'scheme, host and port'],
      ['upstreams.corp.example.credentials.passwordFile', '6:\\d+', 'path of a file'],
      ['upstreams.other.example.tagTtl', '7:\\d+', 'write 60s'],
      ['pull.headerTimeout', '8:\\d+', 'at most 25s'],
      ['log.level', 'ONEPULL_LOG_LEVEL', 'one of: debug, info'],
    ] as const;
    for (const [path, place, hint] of problems) {
      const [at, told] = [lines.findIndex((line) => line.startsWith(`onepull: ${path}: `)), `    hint: `];
      assert.match(lines[at] ?? '', new RegExp(`[(:]${place}\\)$`), path);
      assert.ok(lines[at + 1]?.startsWith(told) && lines[at + 1]?.includes(hint), `the hint of ${path}`);
    }
    assert.deepEqual(lines.slice(2 * problems.length), [`onepull: ${config}: ${problems.length} problems`]);
    assert.deepEqual(await readdir(folder.path), ['onepull.yaml']);
  }));
