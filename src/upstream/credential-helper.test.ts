import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { CredentialHelper } from './credential-helper.ts';

let folder: string;
const signal = new AbortController().signal;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onepull-helper-'));
});
after(() => rm(folder, { recursive: true }));

async function helper(name: string, script: string): Promise<void> {
  const path = join(folder, `docker-credential-${name}`);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

function provider(name: string, clock = new VirtualClock(), more: { timeoutMs?: number } = {}) {
  const env = { PATH: `${folder}:/usr/bin:/bin`, LOG: join(folder, `${name}.log`) };
  return new CredentialHelper({ clock }, { name, serverUrl: 'registry.example', env, cacheMs: 60_000, ...more });
}

function failsNaming(name: string, secret = 's3cret') {
  return (error: unknown) =>
    error instanceof AppError &&
    error.code === 'CONFIG_INVALID' &&
    error.message.includes(`docker-credential-${name}`) &&
    !JSON.stringify([error.message, String(error.cause), error.details]).includes(secret);
}

describe('a docker credential helper', () => {
  it('is asked with `get` and the server, and its answer is used for a while', async () => {
    await helper('good', 'read s; echo "$1 $s" >> "$LOG"; echo \'{"ServerURL":"x","Username":"u","Secret":"p"}\'');
    const clock = new VirtualClock();
    const good = provider('good', clock);
    const expected = { kind: 'basic', username: 'u', password: 'p' };
    assert.deepEqual(await Promise.all([good.credentials(signal), good.credentials(signal)]), [expected, expected]);
    clock.advance(59_999);
    await good.credentials(signal);
    assert.equal(await readFile(join(folder, 'good.log'), 'utf8'), 'get registry.example\n');
    clock.advance(1);
    await good.credentials(signal);
    assert.equal((await readFile(join(folder, 'good.log'), 'utf8')).split('\n').length, 3);
    assert.equal(clock.pending, 0);
  });

  it('hands out an identity token under the user name <token>', async () => {
    await helper('token', 'echo \'{"Username":"<token>","Secret":"t"}\'');
    assert.deepEqual(await provider('token').credentials(signal), { kind: 'identity-token', token: 't' });
  });

  it('that has nothing means anonymous', async () => {
    await helper('empty', 'echo "credentials not found in native keychain"; exit 1');
    assert.deepEqual(await provider('empty').credentials(signal), { kind: 'anonymous' });
  });

  it('that fails, or answers rubbish, is named without what it printed', async () => {
    await helper('broken', 'echo "s3cret went wrong"; exit 3');
    await assert.rejects(provider('broken').credentials(signal), failsNaming('broken'));
    await helper('rubbish', 'echo "s3cret"');
    await assert.rejects(provider('rubbish').credentials(signal), failsNaming('rubbish'));
    await helper('partial', 'echo \'{"Secret":"s3cret"}\'');
    await assert.rejects(provider('partial').credentials(signal), failsNaming('partial'));
    await helper('endless', 'while :; do echo s3crets3crets3crets3cret; done');
    await assert.rejects(provider('endless').credentials(signal), failsNaming('endless'));
  });

  it('that is not there is named', async () => {
    await assert.rejects(provider('absent').credentials(signal), failsNaming('absent'));
  });

  it('that hangs is killed', async () => {
    await helper('hanging', 'exec tail -f /dev/null');
    const clock = new VirtualClock();
    const hanging = provider('hanging', clock, { timeoutMs: 5000 }).credentials(signal);
    await Promise.resolve();
    clock.advance(5000);
    await assert.rejects(hanging, /did not answer within 5000 ms/);
  });

  it('has a plain name', () => {
    for (const name of ['', '../evil', 'a b', 'A', 'a;b', 'a/b']) {
      const make = () => new CredentialHelper({ clock: systemClock }, { name, serverUrl: 'x', env: {} });
      assert.throws(make, /credential helper name/);
    }
  });
});
