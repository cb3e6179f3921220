import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EffectPoint } from '../../telemetry/effect-snapshot.ts';
import { type ChartSeries, perSecond } from './chart-data.ts';

const point = (atMs: number, servedBytes: number): EffectPoint => ({
  atMs,
  servedBytes,
  upstreamBytes: 0,
  peerBytes: 0,
  requests: 0,
  hits: 0,
  coalesced: 0,
  failures: 0,
});
const served: ChartSeries = { name: 'Served', colour: '--served', of: ({ servedBytes }) => servedBytes };
const failed: ChartSeries = { name: 'Failed', colour: '--fail', isOptional: true, of: ({ failures }) => failures };

test('what a step counted is shown per second, from the chosen time on', () => {
  const { columns } = perSecond([point(0, 9), point(5000, 500), point(10_000, 1000)], 5000, 5000, [served]);
  assert.deepEqual(columns, [
    [5, 10],
    [100, 200],
  ]);
});

test('a step that is missing is a gap', () => {
  const { columns } = perSecond([point(5000, 5), point(20_000, 5)], 5000, 0, [served]);
  assert.deepEqual(columns, [
    [5, 10, 20],
    [1, null, 1],
  ]);
});

test('what did not happen at all has no line over the others', () => {
  assert.deepEqual(perSecond([point(0, 1)], 5000, 0, [served, failed]).series, [served]);
  const once = { ...point(5000, 1), failures: 2 };
  const { series, columns } = perSecond([point(0, 1), once], 5000, 0, [served, failed]);
  assert.deepEqual(series, [served, failed]);
  assert.deepEqual(columns[2], [null, 0.4]);
});
