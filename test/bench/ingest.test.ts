import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IngestSample } from '../../bench/ingest/measure-ingest.ts';
import { summarise } from '../../bench/ingest/summary.ts';
import { judge } from '../../bench/ingest/targets.ts';

function sample(subject: string, seconds: number, others: Partial<IngestSample> = {}): IngestSample {
  return {
    round: 1,
    subject,
    bytes: 3e9,
    seconds,
    subjectMs: 6000,
    upstreamMs: 300,
    clientMs: 300,
    machineMs: 7000,
    peakMemoryBytes: 1e8,
    errors: [],
    ...others,
  };
}

test('rates are compared with those of the same round', () => {
  const rows = summarise([
    sample('onepull', 1),
    sample('distribution', 2),
    sample('onepull', 4, { round: 2 }),
    sample('distribution', 4, { round: 2 }),
  ]);
  const peer = rows.find(({ subject }) => subject === 'distribution');
  assert.deepEqual(peer?.onepullOver, { median: 1.5, min: 1, max: 2 });
  assert.equal(peer?.cost.subject.median, 2e-9);
  assert.deepEqual(
    judge(rows).map(({ met }) => met),
    [true],
  );
});

test('a pull that failed is counted and plays no other part', () => {
  const rows = summarise([
    sample('onepull', 3),
    sample('onepull', 0.001, { round: 2, errors: ['wrong digest'] }),
    sample('distribution', 3),
    sample('distribution', 9, { round: 2 }),
  ]);
  assert.deepEqual(rows[0]?.rate, { median: 1e9, min: 1e9, max: 1e9 });
  assert.deepEqual([rows[0]?.failed, rows[0]?.errors], [1, ['wrong digest']]);
  assert.deepEqual(
    judge(rows).map(({ met }) => met),
    [false],
  );
});
