import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tempFolder } from '../testing/temp-folder.ts';
import { lockDataDirectory } from './data-lock.ts';

const holder = fileURLToPath(new URL('../testing/hold-lock.ts', import.meta.url));

async function holdElsewhere(path: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [holder, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.ok(child.stdout);
  await once(child.stdout, 'data');
  return child;
}

describe('exclusive use of the data directory', () => {
  it('is refused while another process has it, in one line with its pid', async () => {
    await using folder = await tempFolder();
    const child = await holdElsewhere(folder.path);
    const message = `the data directory ${folder.path} is in use by process ${child.pid}`;
    await assert.rejects(lockDataDirectory(folder.path), { code: 'STORAGE_LOCKED', message });
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  it('is free at once when that process is killed', async () => {
    await using folder = await tempFolder();
    const child = await holdElsewhere(folder.path);
    child.kill('SIGKILL');
    await once(child, 'exit');
    using lock = await lockDataDirectory(folder.path);
    assert.ok(lock);
  });

  it('is refused twice in one process, and free after it is given back', async () => {
    await using folder = await tempFolder();
    const lock = await lockDataDirectory(folder.path);
    await assert.rejects(lockDataDirectory(folder.path), { code: 'STORAGE_LOCKED' });
    lock[Symbol.dispose]();
    using again = await lockDataDirectory(folder.path);
    assert.ok(again);
  });
});
