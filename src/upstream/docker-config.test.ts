import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { DockerConfigCredentials, normaliseHost } from './docker-config.ts';

let folder: string;
let files = 0;
const signal = new AbortController().signal;
const auth = Buffer.from('u:p:with:colons').toString('base64');
const basic = { kind: 'basic', username: 'u', password: 'p:with:colons' };

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onepull-docker-'));
  const path = join(folder, 'docker-credential-test');
  await writeFile(
    path,
    '#!/bin/sh\nread server\nif [ "$server" = none.example ]; then echo "credentials not found in native keychain"; exit 1; fi\n' +
      'echo "{\\"Username\\":\\"$server\\",\\"Secret\\":\\"h\\"}"\n',
  );
  await chmod(path, 0o755);
});
after(() => rm(folder, { recursive: true }));

async function lookUp(config: unknown, registry: string) {
  const path = join(folder, `config-${files++}.json`);
  await writeFile(path, typeof config === 'string' ? config : JSON.stringify(config));
  const env = { PATH: `${folder}:/usr/bin:/bin` };
  return new DockerConfigCredentials({ clock: new VirtualClock() }, { path, registry, env }).credentials(signal);
}

describe('a docker config.json', () => {
  const entries: [name: string, entry: unknown, expected: unknown][] = [
    ['auth', { auth }, basic],
    ['user name and password', { username: 'a', password: 'b' }, { kind: 'basic', username: 'a', password: 'b' }],
    ['an identity token beside auth', { auth, identitytoken: 't' }, { kind: 'identity-token', token: 't' }],
    [
      'a zero-padded password',
      { auth: Buffer.from('u:p\0\0').toString('base64') },
      { kind: 'basic', username: 'u', password: 'p' },
    ],
    ['an empty entry', {}, { kind: 'anonymous' }],
    ['an odd entry', 7, { kind: 'anonymous' }],
  ];
  for (const [name, entry, expected] of entries) {
    it(`reads ${name}`, async () => {
      assert.deepEqual(await lookUp({ auths: { 'r.example': entry } }, 'r.example'), expected);
    });
  }

  const keys: [key: string, registry: string, found: boolean][] = [
    ['https://index.docker.io/v1/', 'docker.io', true],
    ['index.docker.io', 'docker.io', true],
    ['docker.io', 'registry-1.docker.io', true],
    ['https://r.example', 'r.example', true],
    ['https://r.example/v2/', 'r.example', true],
    ['r.example:443', 'r.example', true],
    ['http://r.example:80', 'r.example', true],
    ['r.example:5000', 'r.example:5000', true],
    ['R.Example', 'r.example', true],
    ['r.example:5000', 'r.example', false],
    ['other.example', 'r.example', false],
    ['r.example.evil.example', 'r.example', false],
  ];
  for (const [key, registry, found] of keys) {
    it(`${found ? 'finds' : 'does not take'} ${key} for ${registry}`, async () => {
      assert.deepEqual(await lookUp({ auths: { [key]: { auth } } }, registry), found ? basic : { kind: 'anonymous' });
    });
  }

  it('prefers the key that is only the host', async () => {
    const auths = { 'r.example/team': { username: 'wrong', password: 'x' }, 'r.example': { auth } };
    assert.deepEqual(await lookUp({ auths }, 'r.example'), basic);
  });

  it('asks the registry’s helper before the store, and the store before the file', async () => {
    const fromHelper = (username: string) => ({ kind: 'basic', username, password: 'h' });
    const credHelpers = { 'r.example': 'test' };
    assert.deepEqual(await lookUp({ credHelpers, credsStore: 'absent' }, 'r.example'), fromHelper('r.example'));
    const auths = { 'r.example': { auth } };
    assert.deepEqual(await lookUp({ credsStore: 'test', auths }, 'r.example'), fromHelper('r.example'));
    const hub = fromHelper('https://index.docker.io/v1/');
    assert.deepEqual(await lookUp({ credsStore: 'test' }, 'docker.io'), hub);
    assert.deepEqual(await lookUp({ credsStore: 'test', auths: { 'none.example': { auth } } }, 'none.example'), basic);
  });

  it('fails by naming the file, never what is in it', async () => {
    const broken: unknown[] = [
      '{"auths":{"r.example":{"auth":"c2VjcmV0"',
      { auths: { 'r.example': { auth: 'c2VjcmV0' } } },
      { auths: { 'r.example': { auth: '%%%secret' } } },
    ];
    for (const config of broken) {
      await assert.rejects(lookUp(config, 'r.example'), (error: unknown) => {
        assert.ok(error instanceof AppError && error.code === 'CONFIG_INVALID' && error.message.includes(folder));
        return !/c2VjcmV0|secret/.test(`${error.message} ${error.cause}`);
      });
    }
  });

  it('is anonymous where it has nothing', async () => {
    for (const config of [{}, null, [], { auths: null, credHelpers: 3, credsStore: {} }]) {
      assert.deepEqual(await lookUp(config, 'r.example'), { kind: 'anonymous' });
    }
  });
});

describe('normaliseHost', () => {
  it('keeps a port that is not the default', () =>
    assert.equal(normaliseHost('https://a.example:5000/x/y'), 'a.example:5000'));
});
