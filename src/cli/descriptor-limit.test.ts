import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { descriptorLimit } from './descriptor-limit.ts';

test('the soft limit of open files is read; none, or no such file, is no limit known', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'onepull-limits-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'limits');
  const line = (soft: string) =>
    `Limit                     Soft Limit           Hard Limit           Units\nMax open files            ${soft.padEnd(20)} 524288               files\nMax locked memory         8388608              8388608              bytes\n`;
  await writeFile(path, line('1024'));
  assert.equal(await descriptorLimit(path), 1024);
  await writeFile(path, line('unlimited'));
  assert.equal(await descriptorLimit(path), undefined);
  assert.equal(await descriptorLimit(join(folder, 'missing')), undefined);
});
