import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderWith } from './config/testing/written-config.ts';
import { productVersion } from './config/version.ts';
import { makeCertificate } from './core/testing/certificates.ts';

interface Outcome {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line as its users do, with no `ONEPULL_` variable of ours. */
function onepull(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('ONEPULL_'));
  const env = { ...Object.fromEntries(inherited), ...environment };
  return new Promise((resolve) => {
    execFile(new URL('../bin/onepull', import.meta.url).pathname, args, { env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

test('--version prints the version of the package', async () => {
  assert.deepEqual(await onepull(['--version']), { code: 0, stdout: `${productVersion()}\n`, stderr: '' });
});

test('the help of each command has examples', async () => {
  for (const command of ['serve', 'check', 'demo']) {
    const { code, stdout } = await onepull([command, '--help']);
    assert.equal(code, 0);
    assert.match(stdout, /Examples?:\n {2}onepull /);
  }
});

test('an unknown command is refused with a hint', async () => {
  const { code, stdout, stderr } = await onepull(['srve']);
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^onepull: unknown command 'srve'\n {4}hint: did you mean serve\?\n$/);
});

test('help of an unknown command says that it is unknown', async () => {
  const { code, stdout, stderr } = await onepull(['help', 'srve']);
  assert.deepEqual([code, stdout, stderr], [2, '', "onepull: unknown command 'srve'\n    hint: did you mean serve?\n"]);
  assert.equal((await onepull(['help', 'nope'])).stderr, "onepull: unknown command 'nope'\n");
});

test('help of a command is what the command prints with --help', async () => {
  assert.deepEqual(await onepull(['help', 'check']), await onepull(['check', '--help']));
  assert.deepEqual(await onepull(['help']), await onepull(['--help']));
});

test('no command is a usage error that shows the help', async () => {
  const { code, stderr } = await onepull([]);
  assert.equal(code, 2);
  assert.match(stderr, /Usage: onepull/);
});

test('check says ok and what would run', async (context) => {
  const folder = await folderWith(context, {
    'onepull.yaml': `
storage: { path: /var/lib/onepull, maxSize: 10GiB }
upstreams:
  docker.io: { url: https://registry-1.docker.io, default: true }
  ghcr.io: { url: https://ghcr.io, credentials: { username: someone, password: hunter2 } }
`,
  });
  const { code, stdout, stderr } = await onepull(['check', '--config', join(folder, 'onepull.yaml')], {
    ONEPULL_ADMIN: '0.0.0.0:9000',
    ONEPULL_ADMIN_TOKEN: 'hunter2-hunter2-hunter2',
  });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ok\n/);
  for (const expected of [
    /0\.0\.0\.0:9000/,
    /\/var\/lib\/onepull, at most 10\.0 GiB/,
    /docker\.io.*default.*anonymous/,
  ]) {
    assert.match(stdout, expected);
  }
  assert.match(stdout, /ghcr\.io.*as someone, tags for 1m$/m);
  assert.match(stderr, /note: admin/);
  assert.doesNotMatch(stdout + stderr, /hunter2/);
});

test('check says whether clients speak TLS, whether changes need a token, and what is traced', async (context) => {
  const pair = makeCertificate();
  const files = { 'cert.pem': pair.cert, 'key.pem': pair.key, token: 'a-token-of-many-letters\n' };
  const folder = await folderWith(context, files);
  const plain = await onepull(['check'], {});
  assert.match(plain.stdout, /^ {2}listen {5}0\.0\.0\.0:5000, HTTP$/m);
  assert.match(plain.stdout, /^ {2}admin {6}127\.0\.0\.1:5001, HTTP, changes need no token$/m);
  assert.match(plain.stdout, /^ {2}tracing {4}none$/m);
  const [certificate = '', key = '', token = ''] = Object.keys(files).map((name) => join(folder, name));
  const { code, stdout } = await onepull(['check'], {
    ONEPULL_SERVER_TLS_CERT: certificate,
    ONEPULL_SERVER_TLS_KEY: key,
    ONEPULL_ADMIN_TOKEN_FILE: token,
    ONEPULL_TRACING_ENDPOINT: 'http://127.0.0.1:4318',
  });
  assert.equal(code, 0);
  assert.ok(stdout.includes(`  listen     0.0.0.0:5000, HTTPS with ${certificate} and ${key}\n`), stdout);
  assert.ok(stdout.includes(`changes need the token in ${token}\n`), stdout);
  assert.match(stdout, /^ {2}tracing {4}to http:\/\/127\.0\.0\.1:4318, one request in 100$/m);
  const named = await onepull(['check'], { ONEPULL_ADMIN_TOKEN: 'a-token-of-many-letters' });
  assert.match(named.stdout, /changes need a token$/m);
});

test('check prints every problem with its place and a hint, and exits with 2', async (context) => {
  const folder = await folderWith(context, {});
  const file = join(folder, 'onepull.yaml');
  await writeFile(file, 'lisen: 1\nstorage: { maxSize: lots }\n');
  const { code, stdout, stderr } = await onepull(['check', '--config', file], { ONEPULL_LOG_LEVEL: 'loud' });
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.equal(
    stderr,
    `onepull: storage.maxSize: "lots" is not a size (${file}:2:12)
    hint: a number of bytes, or with a unit such as 512MiB or 50GiB
onepull: log.level: "loud" is not one of its values (ONEPULL_LOG_LEVEL)
    hint: one of: debug, info, warn, error
onepull: lisen: is not a known key (${file}:1:1)
    hint: did you mean listen?
onepull: ${file}: 3 problems
`,
  );
});

test('check of a file that does not exist is one clear problem', async () => {
  const { code, stderr } = await onepull(['check', '--config', '/does/not/exist.yaml']);
  assert.equal(code, 2);
  assert.match(stderr, /^onepull: \/does\/not\/exist\.yaml: does not exist\n {4}hint: --config is .*\n$/);
});

test('check without a file looks at the defaults and the environment', async () => {
  const { code, stdout, stderr } = await onepull(['check'], { ONEPULL_LISTEN: '127.0.0.1:7777' });
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^ok\n {2}listen +127\.0\.0\.1:7777, HTTP\n/);
  const wrong = await onepull(['check'], { ONEPULL_LISTEN: 'x', ONEPULL_LOG_LEVEL: 'loud' });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /\nonepull: configuration: 2 problems\n$/);
});

test('the help of check says what it does not look at', async () => {
  assert.match((await onepull(['check', '--help'])).stdout, /neither at the data directory\s+nor at the network/);
});

test('serve tells the problems of a configuration as check does', async (context) => {
  const folder = await folderWith(context, { 'onepull.yaml': 'lisen: 1\nstorage: { maxSize: lots }\n' });
  const config = ['--config', join(folder, 'onepull.yaml')];
  const served = await onepull(['serve', ...config]);
  assert.match(served.stderr, /: 2 problems\n$/);
  assert.deepEqual(served, await onepull(['check', ...config]));
});

test('serve says who set an address that cannot be had: a variable that was exported for the commands moves it, too', async (context) => {
  const folder = await folderWith(context, {});
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  context.after(() => taken.close());
  const address = taken.address();
  assert.ok(typeof address === 'object' && address !== null);
  const { code, stderr } = await onepull(['serve', '--listen', '127.0.0.1:0', '--storage', folder], {
    ONEPULL_ADMIN: `127.0.0.1:${address.port}`,
    ONEPULL_LOG_LEVEL: 'error',
  });
  assert.deepEqual(
    [code, stderr],
    [
      1,
      `onepull: cannot listen on 127.0.0.1:${address.port}: another program uses it; change "admin"\n    hint: ONEPULL_ADMIN sets it\n`,
    ],
  );
});

test('serve refuses a wrong flag', async () => {
  const { code, stderr } = await onepull(['serve', '--listen', 'nowhere']);
  assert.equal(code, 2);
  assert.match(stderr, /listen: "nowhere" is not an address \(--listen\)/);
});
