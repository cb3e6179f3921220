import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { Channels, type FlightEvent, type RequestLabels } from './channels.ts';
import { percentilesSince } from './duration-percentiles.ts';
import { EffectHistory } from './effect-history.ts';
import { DurationCounts, RequestCounts } from './request-tally.ts';
import { flightEvent } from './testing/events.ts';

const stepMs = 5000;

function setUp(context: TestContext, maxPoints = 720) {
  const clock = new VirtualClock();
  const channels = new Channels();
  const requests = new RequestCounts(channels);
  const history = new EffectHistory({ clock, channels, requests }, { upstreams: ['a.example'], stepMs, maxPoints });
  context.after(() => {
    history[Symbol.dispose]();
    assert.equal(clock.pending, 0);
  });
  const answer = (labels: Partial<RequestLabels>, times = 1, firstByteMs = 3) => {
    const cell = requests.cell({ route: 'blob', method: 'GET', status: 200, served: 'hit', ...labels });
    for (let time = 0; time < times; time++) cell.add({ firstByteMs, durationMs: 5, complete: true });
  };
  return { clock, channels, requests, history, answer };
}

function flightDone(durationMs: number): FlightEvent {
  return { ...flightEvent, durationMs };
}

test('a point holds what happened in its step, and nothing else', (context) => {
  const { clock, channels, history, answer } = setUp(context);
  channels.servedBytes.publish({ from: 'cache', bytes: 100 });
  channels.servedBytes.publish({ from: 'flight', bytes: 20 });
  channels.upstreamBytes.publish({ upstream: 'a.example', bytes: 7 });
  channels.peerReceived.publish({ node: 'b', bytes: 5 });
  channels.coalesced.publish({ kind: 'blob' });
  answer({}, 3);
  answer({ served: 'stale' });
  answer({ served: 'joined' });
  answer({ served: undefined, status: 404 });
  answer({ served: undefined, status: 429 });
  answer({ served: undefined, status: 503 });
  assert.deepEqual(history.snapshot().points, []);
  clock.advance(stepMs);
  const first = {
    atMs: clock.now(),
    ...{ servedBytes: 120, upstreamBytes: 7, peerBytes: 5, requests: 8, hits: 4, coalesced: 1, failures: 2 },
  };
  assert.deepEqual(history.snapshot().points, [first]);
  channels.servedBytes.publish({ from: 'cache', bytes: 1 });
  clock.advance(stepMs);
  const none = { upstreamBytes: 0, peerBytes: 0, requests: 0, hits: 0, coalesced: 0, failures: 0 };
  assert.deepEqual(history.snapshot().points, [first, { atMs: clock.now(), servedBytes: 1, ...none }]);
  const { answers, hits, servedBytes } = history.totals();
  assert.deepEqual([answers, hits, servedBytes], [5, 4, 121]);
});

test("other threads' figures count when they are reported, and the points add up to the metrics", (context) => {
  const { clock, requests, history, answer } = setUp(context);
  const channels = new Channels();
  const thread = new RequestCounts(channels);
  for (let step = 1; step <= 20; step++) {
    answer({}, step);
    thread.cell({ route: 'manifest', method: 'GET', status: 200, served: 'hit' }).add({
      firstByteMs: 1,
      durationMs: 1,
      complete: true,
    });
    channels.servedBytes.publish({ from: 'cache', bytes: 1000 });
    if (step % 3 === 0) requests.addAll(thread.take() ?? assert.fail());
    clock.advance(stepMs);
  }
  requests.addAll(thread.take() ?? assert.fail());
  clock.advance(stepMs);
  const { points } = history.snapshot();
  const sum = (name: 'requests' | 'servedBytes') => points.reduce((total, point) => total + point[name], 0);
  assert.equal(sum('requests'), (20 * 21) / 2 + 20);
  assert.equal(sum('servedBytes'), 20_000);
  assert.equal(sum('requests'), history.totals().requests);
});

test('an hour is kept and no more; percentiles are of what is kept', (context) => {
  const { clock, channels, history, answer } = setUp(context, 4);
  answer({}, 100, 20_000);
  channels.flight.publish(flightDone(1_000_000));
  clock.advance(stepMs);
  assert.ok((history.snapshot().firstByteMs.p50 ?? 0) > 10_000);
  answer({}, 10, 0.5);
  channels.flight.publish(flightDone(5));
  clock.advance(4 * stepMs);
  const { points, firstByteMs, pullMs, maxPoints } = history.snapshot();
  assert.deepEqual([points.length, maxPoints], [4, 4]);
  assert.equal(points[0]?.requests, 10);
  assert.ok((firstByteMs.p99 ?? 99) <= 1);
  assert.ok((pullMs.p99 ?? 99) <= 10);
  clock.advance(4 * stepMs);
  assert.deepEqual(history.snapshot().firstByteMs, { p50: undefined, p90: undefined, p99: undefined });
});

test('upstreams have their bytes, requests and errors since the start', (context) => {
  const { channels, history } = setUp(context);
  const asked = { upstream: 'a.example', endpoint: 'a.example', kind: 'blob', method: 'GET', durationMs: 1 } as const;
  for (const status of [200, 206, 307, 404, 401, 429, 500, 503, 'UPSTREAM_UNREACHABLE'] as const) {
    channels.upstreamRequest.publish({ ...asked, status });
  }
  channels.upstreamBytes.publish({ upstream: 'a.example', bytes: 9 });
  assert.deepEqual(history.snapshot().upstreams, [{ name: 'a.example', bytes: 9, requests: 9, errors: 4 }]);
});

test('steps that a machine slept through are none', (context) => {
  const { clock, history } = setUp(context);
  clock.advance(stepMs - 1);
  assert.equal(history.snapshot().points.length, 0);
  clock.advance(1);
  assert.equal(history.snapshot().points.length, 1);
  assert.equal(clock.nextDueInMs, stepMs);
});

test('percentiles of known inputs are within the bucket that they fall into', () => {
  const bounds = [0.01, 0.1, 1];
  const counts = new DurationCounts(bounds);
  // 50 of up to 10 ms, 40 of up to 100 ms, 9 of up to a second, and one that took longer.
  for (const [times, durationMs] of [
    [50, 5],
    [40, 50],
    [9, 500],
    [1, 5000],
  ] as const) {
    for (let time = 0; time < times; time++) counts.add(durationMs);
  }
  assert.deepEqual(percentilesSince(counts, undefined), { p50: 10, p90: 100, p99: 1000 });
  const halves = new DurationCounts(bounds);
  for (let time = 0; time < 10; time++) halves.add(50);
  assert.deepEqual(percentilesSince(halves, undefined), { p50: 55, p90: 91, p99: 99.1 });
  const beyond = new DurationCounts(bounds);
  beyond.add(5000);
  assert.deepEqual(percentilesSince(beyond, undefined), { p50: 1000, p90: 1000, p99: 1000 });
});

test('the percentiles of random inputs are never further away than their bucket is wide', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  let state = seed;
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
  const counts = new DurationCounts([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25]);
  const all = Array.from({ length: 1000 }, () => 24_000 * random() ** 4).sort((a, b) => a - b);
  for (const durationMs of all) counts.add(durationMs);
  const got = percentilesSince(counts, undefined);
  for (const [part, value] of [
    [0.5, got.p50],
    [0.9, got.p90],
    [0.99, got.p99],
  ] as const) {
    const right = all[Math.ceil(part * all.length) - 1] ?? 0;
    const index = counts.bounds.findIndex((bound) => right <= bound * 1000);
    const [from, to] = [1000 * (counts.bounds[index - 1] ?? 0), 1000 * (counts.bounds[index] ?? 0)];
    assert.ok(value !== undefined && value >= from && value <= to, `seed ${seed}: ${part} is ${value}, not ${right}`);
  }
});
