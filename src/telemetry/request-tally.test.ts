import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, Histogram, Registry } from 'prom-client';
import { Random } from '../flights/testing/random.ts';
import { Channels, type RequestLabels } from './channels.ts';
import { addRequestMetrics } from './request-metrics.ts';
import { firstByteBounds, RequestCounts, requestBounds } from './request-tally.ts';

const hit: RequestLabels = { route: 'manifest', method: 'GET', status: 200, served: 'hit' };

interface Answer {
  readonly labels: RequestLabels;
  readonly firstByteMs: number | undefined;
  readonly durationMs: number;
  readonly complete: boolean;
}

function answers(seed: number, count: number): Answer[] {
  const random = new Random(seed);
  const one = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
  return Array.from({ length: count }, () => ({
    labels: {
      route: one(['manifest', 'blob', 'other'] as const),
      method: one(['GET', 'HEAD']),
      status: one([200, 206, 404]),
      served: one(['hit', 'led', undefined] as const),
    },
    // Some fall right on a bound.
    firstByteMs: one([undefined, 1, 25, random.below(30_000)]),
    durationMs: one([10, 100, random.below(2_000_000)]),
    complete: one([true, false]),
  }));
}

async function shown(counts: RequestCounts): Promise<string[]> {
  const registry = new Registry();
  addRequestMetrics(registry, counts);
  return (await registry.metrics()).split('\n').filter((line) => line !== '');
}

/** The same as prom-client would count it, request by request. */
async function expected(all: readonly Answer[]): Promise<string[]> {
  const registry = new Registry();
  const registers = [registry];
  const name = (metric: string) => ({ name: `onepull_${metric}`, help: 'x', registers });
  const requests = new Counter({ ...name('requests_total'), labelNames: ['route', 'method', 'status', 'served'] });
  const broken = new Counter({ ...name('requests_incomplete_total'), labelNames: ['route'] });
  const [first, whole] = [[...firstByteBounds], [...requestBounds]];
  const firstByte = new Histogram({
    ...name('first_byte_seconds'),
    labelNames: ['route', 'served'],
    buckets: first,
  });
  const duration = new Histogram({ ...name('request_seconds'), labelNames: ['route'], buckets: whole });
  for (const { labels, firstByteMs, durationMs, complete } of all) {
    const { route, method, status } = labels;
    const served = labels.served ?? 'none';
    requests.inc({ route, method, status, served });
    if (!complete) broken.inc({ route });
    if (firstByteMs !== undefined) firstByte.observe({ route, served }, firstByteMs / 1000);
    duration.observe({ route }, durationMs / 1000);
  }
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

/** Sums of fractions depend on the order in which they are added. */
function rounded(lines: readonly string[]): string[] {
  return lines.map((line) => line.replace(/\d+\.\d+$/, (text) => Number(text).toFixed(6))).sort();
}

test('shows what prom-client would have counted itself', async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const all = answers(seed, 500);
    const counts = new RequestCounts(new Channels());
    for (const { labels, ...answer } of all) counts.cell(labels).add(answer);
    const others = /^#|onepull_(served_bytes|refused)_total/;
    const lines = (await shown(counts)).filter((line) => !others.test(line));
    assert.deepEqual(rounded(lines), rounded(await expected(all)), `seed ${seed}`);
  }
});

test('what several threads counted, taken now and then, adds up to what one would have counted', async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = new Random(seed);
    const whole = new RequestCounts(new Channels());
    const total = new RequestCounts(new Channels());
    const threads = [0, 1, 2].map(() => {
      const channels = new Channels();
      return { channels, counts: new RequestCounts(channels) };
    });
    const hand = (counts: RequestCounts) => {
      const delta = counts.take();
      if (delta !== undefined) total.addAll(structuredClone(delta));
    };
    for (const { labels, ...answer } of answers(seed, 500)) {
      const thread = threads[random.below(threads.length)];
      assert.ok(thread);
      thread.counts.cell(labels).add({ ...answer, errorCode: 'CANCELLED' });
      whole.cell(labels).add({ ...answer, errorCode: 'CANCELLED' });
      thread.channels.servedBytes.publish({ from: 'cache', bytes: 10 });
      thread.channels.refused.publish({ bound: 'responses' });
      if (random.below(10) === 0) hand(thread.counts);
    }
    for (const { counts } of threads) hand(counts);
    const others = /onepull_(served_bytes|refused)_total/;
    const lines = await shown(total);
    assert.deepEqual(
      rounded(lines.filter((line) => !others.test(line))),
      rounded((await shown(whole)).filter((line) => !others.test(line))),
      `seed ${seed}`,
    );
    assert.ok(lines.includes('onepull_served_bytes_total{from="cache"} 5000'));
    assert.ok(lines.includes('onepull_refused_total{bound="responses"} 500'));
    assert.ok(lines.includes('onepull_request_errors_total{code="CANCELLED"} 500'));
  }
});

test('what was taken is gone, and nothing is taken twice', () => {
  const counts = new RequestCounts(new Channels());
  assert.equal(counts.take(), undefined);
  counts.cell(hit).add({ firstByteMs: 1, durationMs: 2, complete: true });
  assert.equal(counts.take()?.cells[0]?.duration.count, 1);
  assert.equal(counts.take(), undefined);
  assert.equal(counts.cell(hit).duration.count, 0);
});

test('the first change after each taking is told, once', () => {
  const channels = new Channels();
  const counts = new RequestCounts(channels);
  let told = 0;
  counts.whenChanged(() => told++);
  const cell = counts.cell(hit);
  const add = () => cell.add({ firstByteMs: undefined, durationMs: 2, complete: true });
  add();
  add();
  channels.refused.publish({ bound: 'responses' });
  assert.equal(told, 1);
  counts.take();
  channels.servedBytes.publish({ from: 'cache', bytes: 1 });
  assert.equal(told, 2);
});

test('each kind of request has one cell, and what a client chooses makes no new kinds', () => {
  const counts = new RequestCounts(new Channels());
  assert.equal(counts.cell(hit), counts.cell({ ...hit }));
  const kinds = new Set<unknown>();
  for (const route of ['manifest', 'blob', 'other'] as const)
    for (const method of ['GET', 'HEAD', 'PURGE'])
      for (const status of [200, 404, 599])
        for (const served of [undefined, 'hit', 'stale'] as const)
          kinds.add(counts.cell({ route, method, status, served }));
  assert.equal(kinds.size, 81);
  assert.equal(counts.cell({ ...hit, method: 'BREW' }), counts.cell({ ...hit, method: 'other' }));
  assert.equal(counts.cell({ ...hit, status: 99_999 }), counts.cell({ ...hit, status: -1.5 }));
});
