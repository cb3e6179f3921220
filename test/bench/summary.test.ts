import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summarise } from '../../bench/cold-burst/summary.ts';
import { burstSample, directSample } from './burst-sample.ts';

test('pulls are compared with the direct pull of their own round and image', () => {
  const rows = summarise([
    directSample(1, 100),
    burstSample({ round: 1, totalMs: [100, 105, 110] }),
    directSample(2, 200),
    burstSample({ round: 2, totalMs: [200, 210, 240] }),
    { ...directSample(1, 1), imageBytes: 7 },
  ]);
  const row = rows.find(({ subject }) => subject === 'onepull');
  assert.equal(rows.length, 3);
  assert.equal(row?.rounds, 2);
  assert.deepEqual(row?.slowestRatio, { median: (1.1 + 1.2) / 2, min: 1.1, max: 1.2 });
  assert.equal(row?.medianRatio.median, 1.05);
});

test('requests are the most of any round, so that one bad round is not averaged away', () => {
  const [row] = summarise(
    [1, 2, 3].map((round) => burstSample({ round, upstream: { headBlob: round === 2 ? 9 : 0 } })),
  );
  assert.equal(row?.upstream.headBlob, 9);
});

test('failed and unfinished pulls are added up and mark the row', () => {
  const [row] = summarise([burstSample({ failed: 1 }), burstSample({ round: 2, unfinished: 2, totalMs: [] })]);
  assert.equal(row?.failed, 1);
  assert.equal(row?.unfinished, 2);
  assert.equal(row?.isComplete, false);
});
