import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { basename } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCertificate } from '../core/testing/certificates.ts';
import { loadConfig } from './load.ts';
import { configOf, folderWith, loadYaml, problemsIn } from './testing/written-config.ts';

/** Each problem as `path | what | hint | line:column`. */
async function problems(context: TestContext, yaml: string): Promise<string[]> {
  return problemsIn(await loadYaml(context, yaml)).map(({ path, problem, hint, source }) => {
    const place = source === undefined ? '-' : basename(source).replace('onepull.yaml:', '');
    return [path, problem, hint ?? '-', place].join(' | ');
  });
}

const one = 'r.example: { url: https://r.example }';

/** A section of YAML, and the problem that it must give: path, a part of the text, a part of the hint, line:column. */
const cases: readonly [string, string, RegExp, RegExp, string][] = [
  ['lisen: x', 'lisen', /not a known key/, /did you mean listen\?/, '1:1'],
  ['storage: { maxsize: 1GiB }', 'storage.maxsize', /not a known key/, /did you mean maxSize\?/, '1:12'],
  ['frobnicate: x', 'frobnicate', /not a known key/, /known here: listen, admin/, '1:1'],
  ['cluster: { engine: "redis://x" }', 'cluster.peer', /without a secret/, /give a secret/, '1:1'],
  [
    'cluster: { engine: "http://x", peer: { secret: 0123456789abcdef } }',
    'cluster.engine',
    /not a URL/,
    /redis:/,
    '1:12',
  ],
  ['cluster: { engine: "redis://x", peer: { secret: short } }', 'cluster.peer.secret', /16/, /openssl/, '1:41'],
  [
    'cluster: { engine: "redis://x", peer: { listen: 127.0.0.1:5001 } }',
    'cluster.peer.listen',
    /address of admin/,
    /another port/,
    '1:41',
  ],
  ['listen: 5000', 'listen', /5000 is not an address/, /^host:port, such as 127\.0\.0\.1:5000 or/, '1:1'],
  ['listen: nowhere.example', 'listen', /not an address/, /^host:port, such as nowhere\.example:5000$/, '1:1'],
  ['admin: localhost', 'admin', /"localhost" is not an address/, /^host:port, such as localhost:5001$/, '1:1'],
  ['admin: "[::1]"', 'admin', /not an address/, /^host:port, such as \[::1\]:5001$/, '1:1'],
  ['admin: ":5001"', 'admin', /not an address/, /^host:port, such as 0\.0\.0\.0:5001/, '1:1'],
  ['listen: "::1:5000"', 'listen', /not an address/, /\[::1\]:5000/, '1:1'],
  ['listen: 127.0.0.1:5001', 'admin', /address of listen/, /another port/, '-'],
  ['listen: 0.0.0.0:5001', 'admin', /address of listen/, /another port/, '-'],
  ['admin: 0.0.0.0:5001', 'admin', /without a token it may listen on loopback only/, /adminTokenFile/, '1:1'],
  ['admin: "[::]:5001"', 'admin', /without a token/, /127\.0\.0\.1/, '1:1'],
  ['adminToken: hunter2', 'adminToken', /shorter than 16/, /openssl/, '1:1'],
  ['adminToken: hunter2 hunter2 hunter2', 'adminToken', /no header/, /openssl/, '1:1'],
  ['adminTokenFile: /dev/null', 'adminTokenFile', /\/dev\/null is shorter than 16/, /openssl rand/, '1:1'],
  ['adminTokenFile: /does/not/exist', 'adminTokenFile', /does not exist/, /path of a file/, '1:1'],
  [
    'cluster: { engine: "redis://x", peer: { secretFile: /dev/null } }',
    'cluster.peer.secretFile',
    /holds less than 16 characters/,
    /openssl rand/,
    '1:41',
  ],
  ['storage:\n  maxSize: 50GiBB', 'storage.maxSize', /"50GiBB" is not a size/, /50GiB/, '2:3'],
  ['storage: { maxSize: 12 }', 'storage.maxSize', /too small/, /at least 1MiB/, '1:12'],
  ['storage: { path: "" }', 'storage.path', /is empty/, /leave the key out/, '1:12'],
  ['storage: x', 'storage', /not a section/, /indented/, '1:1'],
  ['pull:', 'pull', /not a section/, /indented/, '1:1'],
  ['pull: { headerTimeout: 26s }', 'pull.headerTimeout', /too large/, /at most 25s/, '1:9'],
  ['pull: { stallTimeout: 10 }', 'pull.stallTimeout', /no unit/, /write 10s/, '1:9'],
  ['pull: { abandon: stop }', 'pull.abandon', /not one of/, /finish, keep, discard/, '1:9'],
  ['pull: { maxRanges: 1.5 }', 'pull.maxRanges', /whole number/, /1 to 32/, '1:9'],
  ['log: { access: yes }', 'log.access', /neither true nor false/, /true or false/, '1:8'],
  ['upstreams: {}', 'upstreams', /names no registry/, /public registries/, '1:1'],
  ['upstreams:', 'upstreams', /not a section/, /indented/, '1:1'],
  [`upstreams: { ${one}, s.example: { url: https://s } }`, 'upstreams', /no default/, /default: true/, '1:1'],
  [
    'upstreams: { a.b: { url: https://a, default: true }, c.d: { url: https://c, default: true } }',
    'upstreams',
    /several defaults: a\.b, c\.d/,
    /one of them/,
    '1:1',
  ],
  ['upstreams: { Docker.io: { url: https://x } }', 'upstreams.Docker.io', /not the name of/, /lower case/, '1:14'],
  ['upstreams: { a/b: { url: https://x } }', 'upstreams.a/b', /not the name of/, /docker\.io/, '1:14'],
  ['upstreams: { a.b: {} }', 'upstreams.a.b', /nowhere to pull from/, /url or endpoints/, '1:14'],
  ['upstreams: { a.b: { url: https://a, endpoints: [https://b] } }', 'upstreams.a.b', /both/, /either/, '1:14'],
  ['upstreams: { a.b: { endpoints: [] } }', 'upstreams.a.b.endpoints', /empty/, /either/, '1:21'],
  ['upstreams: { a.b: { endpoints: [https://a, ftp://b] } }', 'upstreams.a.b.endpoints[1]', /ftp/, /https:/, '1:44'],
  ['upstreams: { a.b: { endpoints: [https://a, https://a/] } }', 'upstreams.a.b.endpoints', /twice/, /one/, '1:21'],
  ['upstreams: { a.b: { url: https://a/v2/ } }', 'upstreams.a.b.url', /has a path/, /scheme, host/, '1:21'],
  ['upstreams: { a.b: { url: https://a?x=1 } }', 'upstreams.a.b.url', /a query/, /scheme, host/, '1:21'],
  ['upstreams: { a.b: { url: registry.example } }', 'upstreams.a.b.url', /not a URL/, /https:/, '1:21'],
  ['upstreams: { a.b: { url: https://u:hunter2@a } }', 'upstreams.a.b.url', /password in it/, /credentials/, '1:21'],
  [
    'upstreams: { a.b: { url: https://a, redirects: { allow: [a b] } } }',
    'upstreams.a.b.redirects.allow[0]',
    /not a host/,
    /cdn/,
    '1:58',
  ],
  [
    'upstreams: { a.b: { url: https://a, authRealms: x } }',
    'upstreams.a.b.authRealms',
    /not a list/,
    /\[one, two\]/,
    '1:37',
  ],
  [
    'upstreams: { a.b: { url: https://a, tls: { ca: /does/not/exist } } }',
    'upstreams.a.b.tls.ca',
    /\/does\/not\/exist does not exist/,
    /path of a file/,
    '1:44',
  ],
];

for (const [yaml, path, problem, hint, place] of cases) {
  test(`${yaml.replaceAll('\n', ' ')}: ${path} ${problem.source}`, async (context) => {
    const [first = '', ...others] = await problems(context, yaml);
    assert.deepEqual(others, []);
    const [gotPath, gotProblem = '', gotHint = '', gotPlace] = first.split(' | ');
    assert.equal(gotPath, path);
    assert.match(gotProblem, problem);
    assert.match(gotHint, hint);
    assert.equal(gotPlace, place);
    assert.doesNotMatch(first, /hunter2/);
  });
}

const credentials: readonly [string, RegExp][] = [
  ['{}', /is empty/],
  ['{ username: u }', /without a password/],
  ['{ password: hunter2 }', /without a username/],
  ['{ username: u, password: hunter2, passwordFile: /etc/hostname }', /both password and passwordFile/],
  ['{ username: u, password: hunter2, helper: pass }', /exclude each other/],
  ['{ username: u, password: 12345 }', /is a number, not text/],
  ['{ helper: ../../bin/sh }', /not the name of a credential helper/],
  ['u:hunter2', /not a section/],
];

for (const [section, expected] of credentials) {
  test(`credentials ${section} are refused`, async (context) => {
    const yaml = `upstreams: { a.b: { url: https://a, credentials: ${section} } }`;
    const all = await problems(context, yaml);
    assert.equal(all.length, 1, all.join('\n'));
    assert.match(all[0] ?? '', expected);
    assert.doesNotMatch(all.join('\n'), /hunter2|12345/);
  });
}

test('every problem is told at once: values, unknown keys, rules across keys and files', async (context) => {
  const yaml = `
listen: nowhere
storage: { maxSiz: 1GiB, maxSize: x }
upstreams:
  a.b: { credentials: { username: u, passwordFile: /does/not/exist }, tls: { cert: /does/not/exist } }
  c.d: { url: https://c, tagTtl: 5 }
pull: { maxRanges: 0 }
`;
  const paths = problemsIn(await loadYaml(context, yaml)).map(({ path }) => path);
  assert.deepEqual(paths.sort(), [
    'listen',
    'pull.maxRanges',
    'storage.maxSiz',
    'storage.maxSize',
    'upstreams',
    'upstreams.a.b',
    'upstreams.a.b.credentials.passwordFile',
    'upstreams.a.b.tls',
    'upstreams.a.b.tls.cert',
    'upstreams.c.d.tagTtl',
  ]);
});

test('a named file must be what it is named for', async (context) => {
  const folder = await folderWith(context, { empty: '\n', text: 'hunter2' });
  const yaml = `
upstreams:
  a.b: { url: https://a, default: true, credentials: { username: u, passwordFile: ${folder}/empty } }
  c.d: { url: https://c, credentials: { dockerConfig: ${folder}/text }, tls: { ca: ${folder}/text } }
  e.f: { url: https://e, tls: { cert: ${folder}/text, key: ${folder} } }`;
  const all = await problems(context, yaml);
  assert.equal(all.length, 5);
  for (const [index, expected] of [
    /is empty/,
    /not JSON/,
    /not a certificate/,
    /not a certificate/,
    /folder/,
  ].entries()) {
    assert.match(all.toSorted()[index] ?? '', expected);
  }
  assert.doesNotMatch(all.join('\n'), /hunter2/);
});

test('a certificate and a key for clients come together, and fit', async (context) => {
  const [one, other] = [makeCertificate(), makeCertificate()];
  const folder = await folderWith(context, { 'cert.pem': one.cert, 'key.pem': one.key, 'other.pem': other.key });
  const cert = `${folder}/cert.pem`;
  for (const [tls, path, problem, hint] of [
    [`{ cert: ${cert} }`, 'server.tls', 'has cert without key', 'give key too'],
    [`{ key: ${folder}/key.pem }`, 'server.tls', 'has key without cert', 'give cert too'],
    [
      `{ cert: ${cert}, key: ${folder}/other.pem }`,
      'server.tls.key',
      `the file ${folder}/other.pem is not the key of the certificate`,
      `name the key that ${cert} was made with, or that one's certificate`,
    ],
    [
      `{ cert: ${cert}, key: ${folder}/none.pem }`,
      'server.tls.key',
      `the file ${folder}/none.pem does not exist`,
      'key is the path of a file, relative to the folder that onepull is started in',
    ],
    [
      `{ cert: ${folder}/key.pem, key: ${folder}/key.pem }`,
      'server.tls.cert',
      `the file ${folder}/key.pem is not a certificate in PEM form`,
      'cert is the path of a file, relative to the folder that onepull is started in',
    ],
  ] as const) {
    const all = problemsIn(await loadYaml(context, `server: { tls: ${tls} }`));
    assert.deepEqual(
      all.map((one) => [one.path, one.problem, one.hint]),
      [[path, problem, hint]],
    );
  }
  const right = configOf(await loadYaml(context, `server: { tls: { cert: ${cert}, key: ${folder}/key.pem } }`));
  assert.deepEqual(right.server.tls, { certFile: cert, keyFile: `${folder}/key.pem` });
});

test('a key with a password is told from what is no key', async (context) => {
  const { cert, key } = makeCertificate();
  const locked = createPrivateKey(key).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' });
  const folder = await folderWith(context, { 'cert.pem': cert, 'key.pem': String(locked) });
  const [problem] = await problems(context, `server: { tls: { cert: ${folder}/cert.pem, key: ${folder}/key.pem } }`);
  assert.match(problem ?? '', /is encrypted: onepull has no password for it/);
});

test('a certificate that has expired is a notice, not a problem', async (context) => {
  const { cert, key } = makeCertificate(-1);
  const folder = await folderWith(context, { 'cert.pem': cert, 'key.pem': key });
  const yaml = `server: { tls: { cert: ${folder}/cert.pem, key: ${folder}/key.pem } }`;
  const loaded = await loadYaml(context, yaml);
  assert.equal(loaded.kind, 'config');
  assert.match(
    loaded.kind === 'config' ? loaded.notices.join() : '',
    /^server\.tls\.cert: .*cert\.pem has expired at 20/,
  );
});

const wrongFiles: readonly [string, string, RegExp][] = [
  ['a list', '- 1\n', /keys at its top/],
  ['a text', 'hunter2', /keys at its top/],
  ['an open bracket', 'a: [1, 2\nb: "hunter2\n', /.+/],
  ['a tab', 'storage:\n\tpath: hunter2\n', /tab/],
  ['an alias to nowhere', 'storage: { path: *hunter2 }', /keys at its top/],
  ['a tag', 'storage: { path: !hunter2 x }', /tag/],
  ['a reserved character', 'storage: { path: @hunter2 }', /reserved character/],
  ['two documents', 'listen: 1.1.1.1:1\n---\nlisten: 1.1.1.1:1\n', /several documents/],
  ['a key that changes objects', 'upstreams: { __proto__: { url: https://a } }', /keys at its top/],
  ['a megabyte', `# ${'x'.repeat(1024 * 1024)}`, /too large/],
];

for (const [what, content, expected] of wrongFiles) {
  test(`a file with ${what} is one clear problem`, async (context) => {
    const all = problemsIn(await loadYaml(context, content));
    assert.equal(all.length, 1, JSON.stringify(all));
    assert.match(all[0]?.problem ?? '', expected);
    assert.ok(all[0]?.hint, 'a hint');
    assert.doesNotMatch(JSON.stringify(all), /hunter2/);
  });
}

test('a file that is missing and a folder are one clear problem each', async (context) => {
  const folder = await folderWith(context, {});
  for (const [file, problem, hint] of [
    [
      `${folder}/none.yaml`,
      'does not exist',
      '--config is the path of a YAML file, relative to the folder that onepull is started in',
    ],
    [folder, 'is a folder, not a file', 'name the file in it, such as onepull.yaml'],
  ] as const) {
    const all = problemsIn(await loadConfig({ file }));
    assert.deepEqual(all, [{ path: file, problem, hint, source: undefined }]);
  }
});

test('a key that stands twice is told with its place', async (context) => {
  const [problem] = await problems(context, 'listen: 1.1.1.1:1\nlog: { level: info }\nlisten: 1.1.1.1:2\n');
  assert.equal(problem, 'listen | stands twice in the same section | keep one of them | 3:1');
});
