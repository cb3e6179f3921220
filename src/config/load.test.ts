import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig, redactedConfig } from './load.ts';
import { configOf, folderWith, loadYaml, problemsIn } from './testing/written-config.ts';

test('without any source there are sensible defaults', async () => {
  const config = configOf(await loadConfig({}));
  assert.deepEqual(config.listen, { host: '0.0.0.0', port: 5000 });
  assert.deepEqual(config.admin, { host: '127.0.0.1', port: 5001 });
  assert.equal(config.storage.maxSizeBytes, 50 * 1024 ** 3);
  assert.equal(config.pull.headerTimeoutMs, 25_000);
  assert.deepEqual(
    config.upstreams.map(({ name, endpoints, isDefault, credentials }) => [name, endpoints[0], isDefault, credentials]),
    [
      ['docker.io', 'https://registry-1.docker.io', true, undefined],
      ['ghcr.io', 'https://ghcr.io', false, undefined],
      ['quay.io', 'https://quay.io', false, undefined],
      ['registry.k8s.io', 'https://registry.k8s.io', false, undefined],
      ['gcr.io', 'https://gcr.io', false, undefined],
      ['public.ecr.aws', 'https://public.ecr.aws', false, undefined],
      ['mcr.microsoft.com', 'https://mcr.microsoft.com', false, undefined],
    ],
  );
});

test('an empty file is the defaults', async (context) => {
  assert.deepEqual(configOf(await loadYaml(context, '# nothing yet\n')), configOf(await loadConfig({})));
});

test('a file, then variables, then flags override', async (context) => {
  const yaml = 'listen: 0.0.0.0:1\nadmin: 127.0.0.1:2\nstorage: { path: /file, maxSize: 1GiB }\n';
  const environment = { ONEPULL_ADMIN: '127.0.0.1:3', ONEPULL_STORAGE_PATH: '/variable' };
  const config = configOf(
    await loadYaml(context, yaml, { environment, flags: { storage: '/flag', listen: undefined } }),
  );
  assert.equal(config.listen.port, 1);
  assert.equal(config.admin.port, 3);
  assert.equal(config.storage.path, '/flag');
  assert.equal(config.storage.maxSizeBytes, 1024 ** 3);
});

test('units are parsed and named', async (context) => {
  const yaml = `
storage: { maxSize: 1.5GiB, scrubRate: 0, verifyAfter: 2h, minFree: 1MiB }
upstreams: { r.example: { url: 'https://r.example', tagTtl: 1m30s, connectTimeout: 250ms } }
pull: { headerTimeout: 20s, stallTimeout: 5s, deadline: 2h, abandon: keep, maxRanges: 8, maxSplit: 6 }
server: { maxHeaderSize: 32KiB, shutdownTimeout: 5s }
log: { level: debug, access: false }`;
  const config = configOf(await loadYaml(context, yaml));
  assert.deepEqual(config.storage, {
    path: './onepull-data',
    maxSizeBytes: 1610612736,
    scrubBytesPerSecond: 0,
    verifyAfterMs: 7_200_000,
    minFreeBytes: 1_048_576,
  });
  assert.equal(config.upstreams[0]?.tagTtlMs, 90_000);
  assert.equal(config.upstreams[0]?.connectTimeoutMs, 250);
  assert.deepEqual(config.pull, {
    headerTimeoutMs: 20_000,
    stallTimeoutMs: 5_000,
    outageTimeoutMs: 30_000,
    deadlineMs: 7_200_000,
    abandon: 'keep',
    minProgressBytes: 65_536,
    maxRanges: 8,
    maxSplit: 6,
    passThroughBytes: 134_217_728,
    maxFlights: 1000,
  });
  assert.equal(config.server.maxHeaderSizeBytes, 32768);
  assert.deepEqual(config.log, { level: 'debug', access: false });
});

test('a lone upstream is the default', async (context) => {
  const config = configOf(await loadYaml(context, 'upstreams: { "r.example:5000": { url: "http://r.example:5000" } }'));
  assert.equal(config.upstreams[0]?.isDefault, true);
});

test('credentials come in their forms', async (context) => {
  const folder = await folderWith(context, { password: 'hunter2\n', 'config.json': '{}' });
  const yaml = `
upstreams:
  a.example: { url: https://a.example, default: true, credentials: { username: u, password: hunter2 } }
  b.example: { url: https://b.example, credentials: { username: u, passwordFile: ${folder}/password } }
  c.example: { url: https://c.example, credentials: { dockerConfig: ${folder}/config.json } }
  d.example: { url: https://d.example, credentials: { helper: ecr-login } }`;
  assert.deepEqual(
    configOf(await loadYaml(context, yaml)).upstreams.map(({ credentials }) => credentials),
    [
      { kind: 'password', username: 'u', password: 'hunter2' },
      { kind: 'passwordFile', username: 'u', path: `${folder}/password` },
      { kind: 'dockerConfig', path: `${folder}/config.json` },
      { kind: 'helper', name: 'ecr-login' },
    ],
  );
});

test('the result is frozen to its leaves', async () => {
  const config = configOf(await loadConfig({}));
  for (const part of [config, config.storage, config.upstreams, config.upstreams[0], config.upstreams[0]?.endpoints]) {
    assert(Object.isFrozen(part));
  }
});

test('the views for logs and for operators have no secret', async (context) => {
  const yaml = `
adminToken: hunter2-hunter2-hunter2
upstreams: { a.example: { url: https://a.example, credentials: { username: u, password: hunter2 } } }
cluster: { engine: "redis://user:hunter2@127.0.0.1", peer: { secret: hunter2-hunter2-hunter2 } }`;
  const loaded = await loadYaml(context, yaml);
  assert(loaded.kind === 'config');
  const text = JSON.stringify(redactedConfig(loaded.config));
  assert.doesNotMatch(text, /hunter2/);
  for (const key of ['password', 'secret', 'adminToken']) assert.match(text, new RegExp(`"${key}":"\\[redacted\\]"`));
  assert.doesNotMatch(JSON.stringify(loaded.settings), /hunter2/);
  const hidden = loaded.settings.filter(({ value }) => value === '[redacted]').map(({ path }) => path);
  assert.deepEqual(hidden, [
    'adminToken',
    'upstreams.a.example.credentials.password',
    'cluster.engine',
    'cluster.peer.secret',
  ]);
});

test('the settings in force say what counts and who said so', async (context) => {
  const yaml = 'storage: { maxSize: 2GiB }\nupstreams: { a.example: { url: https://a.example } }';
  const environment = {
    ONEPULL_UPSTREAMS_A_EXAMPLE_REDIRECTS_ALLOW: 'y.example, z.example',
    ONEPULL_PULL_MAX_SPLIT: '2',
  };
  const loaded = await loadYaml(context, yaml, { environment, flags: { listen: '127.0.0.1:9' } });
  assert(loaded.kind === 'config');
  const shown = new Map(loaded.settings.map((setting) => [setting.path, setting]));
  for (const [path, value, source] of [
    ['listen', '127.0.0.1:9', /^--listen$/],
    ['admin', '127.0.0.1:5001', /^default$/],
    ['storage.maxSize', '2GiB', /onepull\.yaml:1:12$/],
    ['pull.maxSplit', 2, /^ONEPULL_PULL_MAX_SPLIT$/],
    ['upstreams.a.example.url', 'https://a.example', /onepull\.yaml:2:27$/],
    ['upstreams.a.example.redirects.allow', ['y.example', 'z.example'], /^ONEPULL_UPSTREAMS_A_/],
    ['upstreams.a.example.tagTtl', '60s', /^default$/],
    ['server.threads', undefined, /^default$/],
  ] as const) {
    assert.deepEqual(shown.get(path)?.value, value, path);
    assert.match(shown.get(path)?.source ?? '', source, path);
  }
  assert.ok(loaded.settings.every(({ description }) => description !== ''));
});

test('what is allowed but dangerous is a notice', async (context) => {
  const yaml = `
admin: 0.0.0.0:5001
adminToken: hunter2-hunter2-hunter2
upstreams: { a.example: { url: http://a.example, credentials: { username: u, password: hunter2 } } }`;
  const loaded = await loadYaml(context, yaml);
  assert(loaded.kind === 'config');
  assert.match(loaded.notices.join('\n'), /admin: 0\.0\.0\.0.*\n.*a\.example.*unencrypted/);
  assert.doesNotMatch(loaded.notices.join('\n'), /hunter2/);
});

test('an alias in YAML shares values, and a variable changes only its own upstream', async (context) => {
  const yaml = `
upstreams:
  a.example: &a { url: https://r.example, default: true, redirects: &r { allow: [x.example] } }
  b.example: { url: https://r.example, redirects: *r }`;
  const environment = { ONEPULL_UPSTREAMS_A_EXAMPLE_REDIRECTS_ALLOW: 'y.example, z.example:8443' };
  const { upstreams } = configOf(await loadYaml(context, yaml, { environment }));
  assert.deepEqual(
    upstreams.map(({ redirectsAllow }) => redirectsAllow),
    [['y.example', 'z.example:8443'], ['x.example']],
  );
});

test('a flag that does not exist is a problem', async () => {
  const [problem] = problemsIn(await loadConfig({ flags: { lsten: 'x' } }));
  assert.equal(problem?.path, '--lsten');
  assert.equal(problem?.hint, 'did you mean listen?');
});
