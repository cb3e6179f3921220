import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resultOf } from './result.ts';
import { sentence, tableText } from './table.ts';

const plan = { nodes: 4, layerSizes: [700, 300], lineBytesPerSecond: 1000 };
const imageBytes = 1024;
const onItsOwn = { upstreamRequests: 36, upstreamBytes: 4 * imageBytes, nodesMs: [2000, 3000, 3500, 4000] };
const throughOnepull = { upstreamRequests: 9, upstreamBytes: imageBytes, nodesMs: [900, 950, 1050, 1500] };
const result = resultOf(plan, imageBytes, { onItsOwn, throughOnepull });
const plain = { hasUnicode: false, paint: (_: unknown, text: string) => text };

test('the result is what was counted: the slowest, the median, what upstream was spared', () => {
  assert.deepEqual(result, {
    nodes: 4,
    image: { layers: 2, totalBytes: 1024 },
    lineBytesPerSecond: 1000,
    onItsOwn: { upstreamRequests: 36, upstreamBytes: 4096, slowestNodeMs: 4000, medianNodeMs: 3250 },
    throughOnepull: { upstreamRequests: 9, upstreamBytes: 1024, slowestNodeMs: 1500, medianNodeMs: 1000 },
    savedBytes: 3072,
  });
});

test('the table is aligned and says the effect as a fraction', () => {
  assert.equal(
    tableText(result, plain),
    [
      '                      each on its own   through onepull   effect',
      '  upstream requests                36                 9      1/4',
      '  upstream bytes              4.0 KiB           1.0 KiB      1/4',
      '  slowest node                  4.0 s             1.5 s    1/2.7',
      '  median node                   3.3 s             1.0 s    1/3.3',
      '  bytes saved                       -           3.0 KiB      75%',
    ].join('\n'),
  );
});

test('where lines can be drawn, all are of one width and fit in 80 columns', () => {
  const lines = tableText(result, { ...plain, hasUnicode: true }).split('\n');
  assert.match(lines[0] ?? '', /^┌─+┬─+┬─+┬─+┐$/);
  assert.equal(new Set(lines.map((line) => line.length)).size, 1);
  assert.ok((lines[0]?.length ?? 0) <= 80);
});

test('an effect that is none, or a bad one, is told as such', () => {
  const worse = { ...onItsOwn, upstreamRequests: 72 };
  const table = tableText(resultOf(plan, imageBytes, { onItsOwn, throughOnepull: worse }), plain);
  assert.match(table, /upstream requests .* 36 .* 72 +2\.0x\n/);
  assert.match(table, /upstream bytes .* same\n/);
  assert.match(table, /bytes saved .* 0 B +0%$/);
});

test('the sentence tells both runs with their measured figures', () => {
  const text = sentence(result);
  assert.match(text, /^4 nodes .* fetched it 4\.0 times and the last was ready after 4\.0 s/);
  assert.match(text, /onepull fetched it 1\.0 times.* the last was ready after 1\.5 s\.$/);
});
