import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { descendants, treeUse } from '../../bench/support/process-tree.ts';

test('descendants are found through every generation, and nobody else', () => {
  const parentOf = new Map([
    [10, 1],
    [11, 10],
    [12, 11],
    [13, 10],
    [20, 1],
  ]);
  assert.deepEqual(descendants(10, parentOf), [10, 11, 13, 12]);
  assert.deepEqual(descendants(99, parentOf), [99]);
});

test('what a process has used includes its children, and of one that is gone nothing is told', async () => {
  // A shell with a child that has used 50 ms of CPU when it says so.
  const burn =
    'const end = process.cpuUsage().user + 5e4; while (process.cpuUsage().user < end); console.log(1); setInterval(() => {}, 1e6)';
  const shell = spawn('sh', ['-c', '"$0" -e "$1" & wait', process.execPath, burn], { detached: true });
  await once(shell.stdout, 'data');
  const use = await treeUse(shell.pid);
  assert.ok((use?.cpuMs ?? 0) >= 40, `${use?.cpuMs} ms`);
  process.kill(-(shell.pid ?? 0), 'SIGKILL');
  await once(shell, 'close');
  assert.equal(await treeUse(shell.pid), undefined);
});
