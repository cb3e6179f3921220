import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BurstSample } from '../../bench/cold-burst/measure-burst.ts';
import { summarise } from '../../bench/cold-burst/summary.ts';
import { judge } from '../../bench/cold-burst/targets.ts';
import { verdictText } from '../../bench/support/verdict.ts';
import { burstSample, directSample } from './burst-sample.ts';

const none = { ...burstSample().upstream, headManifest: 0, getManifest: 0, getBlob: 0, bodyBytes: 0 };
const warm = { clients: 16, fresh: none, expired: { ...none, headManifest: 1 }, failed: 0 };
const pauses = { clientsMs: 1, cacheMs: 1 };
const latencies = [{ repeat: 1, waiters: 64, waiterMs: [1, 2], rangeMs: [1], pauses }];

function missed(sample: BurstSample, others: Partial<Parameters<typeof judge>[0]> = {}): string[] {
  const rows = summarise([directSample(1, 100), sample]);
  const verdicts = judge({ rows, latencies, warm, ...others });
  return verdicts.filter(({ met }) => !met).map(verdictText);
}

test('a perfect run meets every target', () => {
  assert.deepEqual(missed(burstSample()), []);
});

test('each target is missed for its own reason, and says by how much', () => {
  const cases: [BurstSample, RegExp][] = [
    [burstSample({ upstream: { bodyBytes: 1002 } }), /upstream bytes.*1\.0020x: NOT met/],
    [burstSample({ upstream: { maxBodiesPerBlob: 2 } }), /one body per blob: 2: NOT met/],
    [burstSample({ upstream: { headBlob: 1 } }), /no HEAD per blob: 1: NOT met/],
    [burstSample({ upstream: { maxGetPerManifest: 3 } }), /1 HEAD, 3 GET: NOT met/],
    [burstSample({ totalMs: [100, 111] }), /slowest pull.*1\.110x.*NOT met/],
    [burstSample({ failed: 1 }), /1 failed, 0 unfinished: NOT met/],
  ];
  for (const [sample, line] of cases) {
    const lines = missed(sample);
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0] ?? '', line);
  }
});

test('the targets of a burst hold from 64 clients on', () => {
  assert.deepEqual(missed(burstSample({ clients: 16, totalMs: [900] })), []);
});

test('warm pulls may ask for the tag once, and for nothing else', () => {
  assert.equal(missed(burstSample(), { warm: { ...warm, fresh: { ...none, headManifest: 1 } } }).length, 1);
  assert.equal(missed(burstSample(), { warm: { ...warm, expired: { ...none, getManifest: 1 } } }).length, 1);
  assert.equal(missed(burstSample(), { warm: { ...warm, failed: 1 } }).length, 1);
});

test('latency is judged at the 99th percentile', () => {
  const waiterMs = [...Array.from({ length: 99 }, () => 1), 50];
  assert.deepEqual(
    missed(burstSample(), { latencies: [{ repeat: 1, waiters: 64, waiterMs, rangeMs: [1], pauses }] }),
    [],
  );
  const slow = [{ repeat: 1, waiters: 64, waiterMs: [...waiterMs, 50], rangeMs: [1], pauses }];
  assert.equal(missed(burstSample(), { latencies: slow }).length, 1);
});
