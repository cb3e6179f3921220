import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { FixedCredentials, PasswordFileCredentials } from './credentials.ts';

describe('credentials from values', () => {
  it('are what was configured, or none', async () => {
    assert.deepEqual(await new FixedCredentials().credentials(), { kind: 'anonymous' });
    const basic = { kind: 'basic', username: 'u', password: 'p' } as const;
    assert.deepEqual(await new FixedCredentials(basic).credentials(), basic);
  });
});

describe('credentials from a password file', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onepull-credentials-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('are read without the last line break, and again when the file is replaced', async () => {
    const path = join(folder, 'password');
    await writeFile(path, 'first\n');
    const provider = new PasswordFileCredentials({ username: 'u', path });
    assert.deepEqual(await provider.credentials(), { kind: 'basic', username: 'u', password: 'first' });
    await writeFile(join(folder, 'next'), 'other\r\n');
    await rename(join(folder, 'next'), path);
    assert.deepEqual(await provider.credentials(), { kind: 'basic', username: 'u', password: 'other' });
  });

  it('fail by naming the file', async () => {
    const path = join(folder, 'missing');
    const provider = new PasswordFileCredentials({ username: 'u', path });
    await assert.rejects(provider.credentials(), (error: unknown) => {
      return error instanceof AppError && error.code === 'CONFIG_INVALID' && error.message.includes(path);
    });
    await writeFile(path, '\n');
    await assert.rejects(provider.credentials(), /is empty/);
  });
});
