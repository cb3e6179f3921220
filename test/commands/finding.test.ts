import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { status } from '../../src/cli/admin-answers.ts';
import { AdminClient } from '../../src/cli/admin-client.ts';
import { command, PseudoTerminal } from '../support/command.ts';
import { freePort, TemporaryDirectory } from '../support/loopback.ts';
import { ScriptedAdmin } from '../support/scripted-admin.ts';
import { answers } from './answers.ts';

const hintWhere =
  '    hint: is onepull running there? --admin, --config or ONEPULL_ADMIN say where its admin API listens';

const name = 'docker.io/library/a:1';

/** An instance in which images are purged and pinned; it remembers which token it was shown. */
async function changing(): Promise<ScriptedAdmin> {
  return await ScriptedAdmin.start({
    'DELETE /api/v1/images': { removed: [name], freedBytes: 1024, following: [] },
    'PUT /api/v1/pins': { image: name, isPinned: true },
    'DELETE /api/v1/pins': { image: name, isPinned: false },
  });
}

describe('which instance a command asks', { concurrency: 2 }, () => {
  test('what was typed goes before ONEPULL_ADMIN: --admin, then the file of --config', async () => {
    await using admin = await ScriptedAdmin.start(answers());
    await using folder = await TemporaryDirectory.make();
    const file = join(folder.path, 'onepull.yaml');
    await writeFile(file, `admin: ${admin.host}\n`);
    const nobody = `127.0.0.1:${await freePort()}`;
    assert.equal((await command(['status', '--admin', admin.host], { ONEPULL_ADMIN: nobody })).code, 0);
    assert.equal((await command(['status', '--config', file], { ONEPULL_ADMIN: nobody })).code, 0);
    assert.equal((await command(['status', '--config', file], { ONEPULL_ADMIN: 'no address' })).code, 0);
    assert.equal((await command(['status'], { ONEPULL_ADMIN: admin.host })).code, 0);
    assert.equal((await command(['status', '--config', file])).code, 0);
    const other = await command(['status', '--admin', nobody, '--config', file], { ONEPULL_ADMIN: admin.host });
    assert.deepEqual([other.code, other.stdout], [1, '']);
    assert.equal(
      other.stderr,
      `onepull: no answer from the admin API at ${nobody}: the connection was refused
    hint: is onepull running there? ONEPULL_ADMIN says ${admin.host}, but --admin and --config go before it`,
    );
    assert.ok((await command(['status', '--admin', nobody])).stderr.endsWith(`\n${hintWhere}`));
    const around = await command(['status'], { ONEPULL_ADMIN: nobody });
    assert.match(around.stderr, /hint: .* ONEPULL_ADMIN says so; --admin and --config go before it$/);
  });

  test('an exported ONEPULL_ADMIN does not have another instance purged than the one of --config', async () => {
    await using wanted = await changing();
    await using other = await changing();
    await using folder = await TemporaryDirectory.make();
    const file = join(folder.path, 'onepull.yaml');
    await writeFile(file, `admin: ${wanted.host}\n`);
    const around = { ONEPULL_ADMIN: other.host };
    const { code, stdout } = await command(['purge', 'a:1', '--yes', '--config', file], around);
    assert.deepEqual([code, stdout], [0, `${name}  purged, 1.0 KiB freed`]);
    assert.deepEqual([wanted.asked.length, other.asked.length], [1, 0]);
  });

  test('where the environment decides whom purge, pin and unpin ask, they name the instance', async () => {
    await using admin = await changing();
    const around = { ONEPULL_ADMIN: admin.host };
    const place = ` at ${admin.host} (ONEPULL_ADMIN)`;
    for (const [args, said] of [
      [['purge', 'a:1', '--yes'], `${name}  purged, 1.0 KiB freed${place}`],
      [['pin', 'a:1'], `${name}  pinned${place}`],
      [['unpin', 'a:1'], `${name}  not pinned${place}`],
    ] as const) {
      assert.deepEqual(await command(args, around), { code: 0, stdout: said, stderr: '' });
    }
    admin.refuses('PUT /api/v1/pins', 404, 'MANIFEST_UNKNOWN', 'no such image is here');
    const missing = await command(['pin', 'a:1'], around);
    assert.deepEqual([missing.code, missing.stderr], [1, `onepull: a:1: no such image is here${place}`]);
    await using terminal = new PseudoTerminal(['purge', 'a:1'], { environment: around, columns: 120 });
    await terminal.until(({ output }) => output.includes('[y/N]'));
    terminal.type('n\r');
    await terminal.exited;
    assert.ok(terminal.text.includes(`Purge it from the cache${place}? [y/N]`), terminal.text);
  });

  test('of an instance that listens for all, this machine is asked', async () => {
    await using admin = await ScriptedAdmin.start(answers());
    const everywhere = `0.0.0.0:${admin.host.split(':')[1]}`;
    assert.equal((await command(['status', '--admin', everywhere])).code, 0);
  });

  test('a configuration whose secrets are elsewhere still says where', async () => {
    await using admin = await ScriptedAdmin.start(answers());
    await using folder = await TemporaryDirectory.make();
    const file = join(folder.path, 'onepull.yaml');
    const upstream = '{ url: "https://a.example", credentials: { username: u, passwordFile: /run/secrets/none } }';
    await writeFile(file, `admin: ${admin.host}\nupstreams: { a.example: ${upstream} }\n`);
    const { code, stderr } = await command(['status', '--config', file]);
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('what is no address, no configuration or no file is a usage error', async () => {
    await using folder = await TemporaryDirectory.make();
    const wrong = join(folder.path, 'wrong.yaml');
    await writeFile(wrong, 'admin: nowhere\n');
    const directory = join(folder.path, 'directory');
    await mkdir(directory);
    for (const [args, said] of [
      [
        ['--admin', 'nowhere'],
        /^onepull: --admin: "nowhere" is not an address\n {4}hint: host:port, such as nowhere:5001;/,
      ],
      [['--admin', '[::1]'], /hint: host:port, such as \[::1\]:5001;/],
      [['--admin', '::1'], /hint: host:port, such as 127\.0\.0\.1:5001;/],
      [['--admin', 'https://127.0.0.1:1'], /hint: .*plain HTTP/],
      [['--config', wrong], /^onepull: admin: "nowhere" is not an address \(.*wrong\.yaml:1:1\)\n {4}hint:/],
      [['--config', join(folder.path, 'missing')], /does not exist/],
      [['--token-file', join(folder.path, 'missing')], /^onepull: --token-file: .*missing does not exist$/],
      [['--token-file', directory], /directory cannot be read$/],
      [['--nonsense'], /^onepull: unknown option '--nonsense'$/],
      [['--jsn'], /^onepull: unknown option '--jsn'\n {4}hint: did you mean --json\?$/],
      [['more'], /^onepull: too many arguments/],
    ] as const) {
      const { code, stdout, stderr } = await command(['status', ...args]);
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.match(stderr, said);
    }
    assert.match((await command(['status'], { ONEPULL_ADMIN: 'x' })).stderr, /^onepull: ONEPULL_ADMIN: "x" is not an/);
  });
});

describe('what answers', { concurrency: 2 }, () => {
  test('another version is told by both versions', async () => {
    await using admin = await ScriptedAdmin.start({}, '0.0.7');
    const { code, stderr } = await command(['status', '--admin', admin.host]);
    assert.equal(code, 1);
    assert.match(stderr, /^onepull: the instance at \S+ is onepull 0\.0\.7, and does not know this command of \d/);
    assert.match(stderr, /\n {4}hint: use the command of onepull 0\.0\.7/);
    // Known paths, other answers.
    admin.says('GET /api/v1/images', { pictures: [] });
    assert.match((await command(['images', '--admin', admin.host])).stderr, /is onepull 0\.0\.7/);
    // Versions from before anything could be changed.
    admin.refuses('PUT /api/v1/pins', 405, 'UNSUPPORTED', 'only GET and HEAD are served here');
    assert.match((await command(['pin', 'a', '--admin', admin.host])).stderr, /is onepull 0\.0\.7/);
  });

  test('what is not onepull is told so, whether it speaks HTTP or not', async () => {
    await using admin = await ScriptedAdmin.start();
    for (const path of ['status', 'version', 'pulls', 'flights', 'upstreams', 'cluster']) {
      admin.scripts.set(`GET /api/v1/${path}`, () => ({ text: '<html>welcome</html>' }));
    }
    const { code, stderr } = await command(['status', '--admin', admin.host]);
    assert.equal(code, 1);
    assert.deepEqual(
      admin.asked.map(({ path }) => path),
      ['/api/v1/status', '/api/v1/version'],
      'it is not bothered with more',
    );
    assert.match(stderr, /^onepull: what answers at \S+ is not onepull's admin API\n {4}hint: --admin/);
    const rude = createServer((socket) => socket.on('error', () => {}).end('220 mail.example ESMTP\r\n'));
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    try {
      const address = rude.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const other = await command(['images', '--admin', `127.0.0.1:${port}`]);
      assert.equal(other.code, 1);
      assert.match(other.stderr, /: it does not speak HTTP\n/);
    } finally {
      rude.close();
    }
  });

  test('the port of the registry is told apart from the admin API by two requests', async () => {
    await using admin = await ScriptedAdmin.start();
    admin.scripts.delete('GET /api/v1/version');
    for (const args of [['status'], ['clients', 'k3s'], ['cluster', 'status'], ['images'], ['pin', 'a', 'b']]) {
      admin.asked.length = 0;
      const { code, stderr } = await command([...args, '--admin', admin.host]);
      assert.equal(code, 1);
      assert.match(stderr, /^onepull: what answers at \S+ is not onepull's admin API\n/);
      assert.equal(admin.asked.length, 2, args.join(' '));
    }
  });

  test('who is silent is not waited for', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    try {
      const address = silent.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const place = { address: { host: '127.0.0.1', port }, token: undefined, saidBy: 'flag' } as const;
      const asking = new AdminClient(place, { silenceMs: 20 }).get('/api/v1/status', status);
      await assert.rejects(asking, { name: 'CommandFailure', message: /: no answer within 0\.02 s$/ });
    } finally {
      silent.close();
    }
  });

  test('a refusal is told in the words of the instance, without what could move the cursor', async () => {
    await using admin = await ScriptedAdmin.start();
    admin.refuses('GET /api/v1/images', 503, 'UNKNOWN', 'the catalog \u001b[2Jis being rebuilt');
    const { code, stderr } = await command(['images', '--admin', admin.host]);
    assert.deepEqual([code, stderr], [1, 'onepull: the catalog is being rebuilt']);
  });
});

describe('the admin token', { concurrency: 2 }, () => {
  const token = 'correct-horse-battery-staple';

  async function guarded(): Promise<ScriptedAdmin> {
    const admin = await ScriptedAdmin.start();
    admin.scripts.set('PUT /api/v1/pins', ({ headers }) =>
      headers.authorization === `Bearer ${token}`
        ? { json: { image: 'docker.io/library/a:1', isPinned: true } }
        : { status: 401, json: { errors: [{ code: 'UNAUTHORIZED', message: 'the admin token is wanted' }] } },
    );
    return admin;
  }

  test('comes from a flag, a variable, a file that a variable names, or the configuration', async () => {
    await using admin = await guarded();
    await using folder = await TemporaryDirectory.make();
    const place = (file: string) => join(folder.path, file);
    const [file, config, other, open] = [
      place('token'),
      place('onepull.yaml'),
      place('other.yaml'),
      place('open.yaml'),
    ];
    const nobody = `127.0.0.1:${await freePort()}`;
    await writeFile(open, `admin: ${admin.host}\n`);
    await writeFile(file, `${token}\n`);
    await writeFile(config, `admin: ${admin.host}\nadminToken: ${token}\n`);
    await writeFile(other, `admin: ${admin.host}\nadminTokenFile: ${file}\n`);
    const pin = ['pin', 'a:1', '--admin', admin.host];
    for (const [args, environment] of [
      [[...pin, '--token-file', file], {}],
      [pin, { ONEPULL_ADMIN_TOKEN: token }],
      [pin, { ONEPULL_ADMIN_TOKEN_FILE: file }],
      [['pin', 'a:1', '--config', config], {}],
      [['pin', 'a:1', '--config', other], {}],
      [[...pin, '--token-file', file], { ONEPULL_ADMIN_TOKEN: 'another-token-of-yesterday' }],
      [['pin', 'a:1', '--config', config], { ONEPULL_ADMIN_TOKEN: 'another-token-of-yesterday' }],
      [[...pin, '--config', config], { ONEPULL_ADMIN: nobody, ONEPULL_ADMIN_TOKEN: 'another-token-of-yesterday' }],
      [pin, { ONEPULL_ADMIN: admin.host, ONEPULL_ADMIN_TOKEN: token }],
      [['pin', 'a:1', '--config', open], { ONEPULL_ADMIN_TOKEN: token }],
    ] as const) {
      const { code, stdout, stderr } = await command(args, environment);
      assert.deepEqual([code, stdout, stderr], [0, 'docker.io/library/a:1  pinned', ''], args.join(' '));
    }
  });

  test('that stands beside ONEPULL_ADMIN is sent to that instance alone', async () => {
    await using admin = await guarded();
    await using folder = await TemporaryDirectory.make();
    const [config, secret] = [join(folder.path, 'onepull.yaml'), join(folder.path, 'token')];
    await writeFile(config, `admin: ${admin.host}\n`);
    await writeFile(secret, token);
    const other = `127.0.0.1:${await freePort()}`;
    for (const flags of [
      ['--admin', admin.host],
      ['--config', config],
    ]) {
      for (const kept of ['ONEPULL_ADMIN_TOKEN', 'ONEPULL_ADMIN_TOKEN_FILE']) {
        const around = { ONEPULL_ADMIN: other, [kept]: kept.endsWith('FILE') ? secret : token };
        const { code, stderr } = await command(['pin', 'a:1', ...flags], around);
        assert.equal(code, 1);
        assert.equal(
          stderr,
          `onepull: the admin API at ${admin.host} wants its token for this
    hint: --token-file FILE gives it; ${kept} is kept for the instance of ONEPULL_ADMIN, ${other}`,
        );
      }
    }
    assert.ok(admin.asked.every(({ headers }) => headers.authorization === undefined));
  });

  test('is asked for where it is wanted, and told to be wrong where it is; it is never repeated', async () => {
    await using admin = await guarded();
    const pin = ['pin', 'a:1', '--admin', admin.host];
    const without = await command(pin);
    assert.equal(without.code, 1);
    assert.match(
      without.stderr,
      /^onepull: the admin API at \S+ wants its token for this\n {4}hint: --token-file FILE/,
    );
    const wrong = await command(pin, { ONEPULL_ADMIN_TOKEN: 'wrong-secret' });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /^onepull: the admin API at \S+ refuses the token\n {4}hint:/);
    const broken = await command(pin, { ONEPULL_ADMIN_TOKEN: 'two words\nand a line' });
    assert.equal(broken.code, 2);
    assert.match(broken.stderr, /^onepull: ONEPULL_ADMIN_TOKEN is no token/);
    assert.doesNotMatch(wrong.stderr + broken.stderr, /wrong-secret|two words/);
  });
});
