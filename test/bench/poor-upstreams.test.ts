import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FailoverSample } from '../../bench/poor-upstreams/measure-failover.ts';
import type { SplitSample } from '../../bench/poor-upstreams/measure-split.ts';
import { summariseFailovers, summariseSplits } from '../../bench/poor-upstreams/summary.ts';
import { judge } from '../../bench/poor-upstreams/targets.ts';
import type { Verdict } from '../../bench/support/verdict.ts';

function split(told: Partial<SplitSample>): SplitSample {
  return {
    round: 1,
    limit: 'per-connection',
    allowed: 1,
    used: 1,
    totalMs: 1000,
    imageBytes: 1000,
    bodyBytes: 1000,
    repeatedBytes: 0,
    requests: 2,
    peakMemoryBytes: 1e8,
    ...told,
  };
}

function failover(told: Partial<FailoverSample>): FailoverSample {
  return {
    round: 1,
    dies: true,
    clients: 64,
    failed: 0,
    slowestMs: 1000,
    imageBytes: 1000,
    bodyBytes: 1000,
    nextMs: 10,
    errors: [],
    ...told,
  };
}

const broken = (verdicts: readonly Verdict[]) => verdicts.filter(({ met }) => !met).map(({ target }) => target);

test('the rate of several connections is compared with one connection of the same limit and round', () => {
  const rows = summariseSplits([
    split({ totalMs: 1000 }),
    split({ allowed: 8, totalMs: 125 }),
    split({ round: 2, totalMs: 2000 }),
    split({ round: 2, allowed: 8, totalMs: 500 }),
    split({ limit: 'per-upstream', totalMs: 7 }),
  ]);
  const row = rows.find(({ allowed }) => allowed === 8);
  assert.deepEqual(row?.rateRatio, { median: 6, min: 4, max: 8 });
});

test('what is slower, or costs more bytes, than it may is a target that is not met', () => {
  const rows = summariseSplits([
    split({}),
    split({ allowed: 8, totalMs: 200 }),
    split({ limit: 'per-upstream' }),
    split({ limit: 'per-upstream', allowed: 8, totalMs: 1100, bodyBytes: 1030 }),
  ]);
  assert.equal(broken(judge(rows, [])).length, 3);
  const good = summariseSplits([split({}), split({ allowed: 8, totalMs: 150 })]);
  assert.deepEqual(broken(judge(good, [])), []);
});

test('one failed pull of an endpoint that dies is one too many', () => {
  const rows = summariseFailovers([failover({}), failover({ round: 2, failed: 1, slowestMs: undefined })]);
  assert.equal(broken(judge([], rows)).length, 1);
  assert.deepEqual(broken(judge([], summariseFailovers([failover({})]))), []);
});
