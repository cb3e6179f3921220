import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../support/child.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';

const program = new URL('../../bench/main.ts', import.meta.url).pathname;

test('a small run of the throughput benchmark measures onepull beside nginx and writes what it found', {
  skip: needs('wrk', 'nginx'),
}, async () => {
  await using folder = await TemporaryDirectory.make();
  const few = ['--rounds', '1', '--seconds', '1', '--blob', '1MiB', '--subjects', 'onepull,nginx'];
  const args = ['throughput', ...few, '--only', 'GET manifest by tag, wrk -t1 -c32', '--out', folder.path];
  const { code, stdout, stderr } = await run(process.execPath, [program, ...args]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /GET manifest by tag .* nginx /);
  const { samples, absent } = JSON.parse(await readFile(join(folder.path, 'throughput.json'), 'utf8'));
  assert.deepEqual(absent, []);
  const names = samples.map(({ subject }: { subject: string }) => subject);
  assert.deepEqual(names.sort(), ['nginx', 'onepull', 'onepull, no threads']);
  for (const { subject, errors, requests, bytes } of samples) {
    assert.deepEqual(errors, [], subject);
    assert.ok(requests > 0 && bytes > requests * 2000, `${subject}: ${bytes} bytes of ${requests} answers`);
  }
  const report = await readFile(join(folder.path, 'throughput.md'), 'utf8');
  assert.match(report, /## Hot manifests/);
  assert.match(await readFile(join(folder.path, 'throughput.svg'), 'utf8'), /^<svg /);
});
