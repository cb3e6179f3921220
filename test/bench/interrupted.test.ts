import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RemoteProgram } from '../../bench/support/remote-calls.ts';
import { folderOfThisProcess } from '../../bench/support/temporary-folder.ts';
import { Child } from '../support/child.ts';

test('a benchmark that is interrupted ends its children before the folders that they write to go', async () => {
  using folder = folderOfThisProcess('onepull-interrupted-');
  writeFileSync(join(folder.path, 'file'), 'x');
  const [removeFolder] = process.listeners('exit').slice(-1);
  await using _child = new Child(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  await using _program = new RemoteProgram(new URL('../../bench/growth/crowd-child.ts', import.meta.url));
  const atExit = process.listeners('exit');
  assert.ok(removeFolder);
  assert.equal(atExit.indexOf(removeFolder) >= 2, true, 'the children, which came later, are ended first');
  removeFolder(0);
  assert.equal(existsSync(folder.path), false);
});
