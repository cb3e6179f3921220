import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { type FlightSnapshot, flightId } from '../flights/flight-snapshot.ts';
import type { PullSnapshot } from '../pull/pull-board.ts';
import type { EffectPoint, EffectSnapshot } from '../telemetry/effect-snapshot.ts';
import { type LiveSources, LiveState } from './live-state.ts';
import type { Status } from './status.ts';

const digest = digestOf(Buffer.from('x'));
const none = { p50: undefined, p90: undefined, p99: undefined };

function pull(id: string, filledBytes = 0): PullSnapshot {
  const counts = { sizeBytes: 100, filledBytes, waiters: 0, pulls: 1, upstreamRequests: 0, upstreamBytes: 0 };
  const times = { firstAskedAtMs: 1, lastAskedAtMs: 2 };
  return {
    id,
    image: `r.example/${id}:v1`,
    manifest: digest,
    state: 'pulling',
    ...counts,
    ...times,
    clients: [],
    layers: [],
  };
}

function flight(startedAtMs: number, filledBytes = 0): FlightSnapshot {
  const lists = { ranges: [], sources: [] };
  const counts = { waiters: 1, receivedBytes: 0, rateBytesPerSecond: 0, attempts: 1, ageMs: 1 };
  const nothing = { waitingFor: undefined, sizeBytes: undefined, error: undefined };
  return { digest, state: 'pulling', filledBytes, startedAtMs, ...lists, ...counts, ...nothing };
}

function point(atMs: number): EffectPoint {
  return { atMs, servedBytes: 1, upstreamBytes: 0, peerBytes: 0, requests: 0, hits: 0, coalesced: 0, failures: 0 };
}

const status: Status = {
  ...{ version: '1', node: '26', startedAtMs: 1, state: 'ready', reasons: [], warnings: [], listen: 'x:1', tls: false },
  cache: { sizeBytes: 0, maxBytes: 1, diskFreeBytes: undefined, images: 0, blobs: 0 },
  effect: {
    ...{ servedBytes: 0, upstreamBytes: 0, savedBytes: 0, requests: 0, upstreamRequests: 0, coalescedRequests: 0 },
    hitRatio: undefined,
  },
  pulls: { waiting: 0, pulling: 0, verifying: 0, done: 0, failed: 0 },
};

/** What the test says is so. */
class Played implements LiveSources {
  shown: PullSnapshot[] = [];
  flying: FlightSnapshot[] = [];
  now: Status = status;
  points: EffectPoint[] = [];
  upstreamsSeen: { name: string; bytes: number; requests: number; errors: number }[] = [];
  readonly maxPoints = 5;

  readonly flightId = flightId;
  pulls = async () => this.shown;
  flights = () => this.flying;
  upstreams = () => [];
  cluster = () => undefined;
  status = async () => this.now;
  effect = (): EffectSnapshot => {
    const { maxPoints, points, upstreamsSeen: upstreams } = this;
    return { stepMs: 5000, maxPoints, points: [...points], firstByteMs: none, pullMs: none, upstreams };
  };
}

interface Seen {
  readonly pulls: Map<string, unknown>;
  readonly flights: Map<string, unknown>;
  readonly sections: Map<string, unknown>;
  points: unknown[];
}

/** A viewer, as the API's page says that one should be. */
function take(seen: Seen, text: string): Seen {
  const { isWhole, pulls = [], flights = [], gone = {}, effect, ...sections } = JSON.parse(text);
  const next = isWhole ? { pulls: new Map(), flights: new Map(), sections: new Map(), points: [] } : seen;
  for (const [known, entries] of [
    [next.pulls, pulls],
    [next.flights, flights],
  ])
    for (const entry of entries) known.set(entry.id, entry);
  for (const id of gone.pulls ?? []) assert.ok(next.pulls.delete(id));
  for (const id of gone.flights ?? []) assert.ok(next.flights.delete(id));
  for (const [name, section] of Object.entries(sections)) next.sections.set(name, section);
  if (effect !== undefined) {
    const { points, ...head } = effect;
    next.sections.set('effect', head);
    next.points = [...next.points, ...points].slice(-head.maxPoints);
  }
  return next;
}

const empty = (): Seen => ({ pulls: new Map(), flights: new Map(), sections: new Map(), points: [] });
const sorted = ({ pulls, flights, sections, points }: Seen) => {
  const inOrder = (map: Map<string, unknown>) => [...map].sort(([one], [other]) => (one < other ? -1 : 1));
  return { pulls: inOrder(pulls), flights: inOrder(flights), sections: inOrder(sections), points };
};

test('only entries that are new or have changed are told, and those that are gone by their names', async () => {
  const sources = new Played();
  const state = new LiveState(sources);
  sources.shown = [pull('1'), pull('2')];
  sources.flying = [flight(1)];
  const first = JSON.parse((await state.refresh()) ?? '');
  assert.deepEqual(
    first.pulls.map(({ id }: { id: string }) => id),
    ['1', '2'],
  );
  assert.equal(await state.refresh(), undefined, 'nothing has changed');
  sources.shown = [pull('1'), pull('2')];
  assert.equal(await state.refresh(), undefined, 'other objects that say the same');
  sources.shown = [pull('2', 50), pull('3')];
  sources.flying = [flight(2)];
  const { pulls, flights, gone, ...rest } = JSON.parse((await state.refresh()) ?? '');
  assert.deepEqual(
    pulls.map(({ id, filledBytes }: PullSnapshot) => [id, filledBytes]),
    [
      ['2', 50],
      ['3', 0],
    ],
  );
  assert.deepEqual(
    flights.map(({ id }: { id: string }) => id),
    [`${digest}@2`],
  );
  assert.deepEqual(gone, { pulls: ['1'], flights: [`${digest}@1`] });
  assert.deepEqual(rest, { isWhole: false });
});

test('an object that comes again is not looked into', async () => {
  const sources = new Played();
  const state = new LiveState(sources);
  let looks = 0;
  const counted = { ...pull('1'), toJSON: undefined };
  Object.defineProperty(counted, 'image', {
    enumerable: true,
    get: () => {
      looks++;
      return 'r.example/1:v1';
    },
  });
  sources.shown = [counted];
  for (let times = 0; times < 5; times++) await state.refresh();
  assert.equal(looks, 1);
});

test('of the effect only new points are told', async () => {
  const sources = new Played();
  const state = new LiveState(sources);
  sources.points = [point(1), point(2)];
  await state.refresh();
  sources.points = [...sources.points, point(3)];
  const { effect, ...rest } = JSON.parse((await state.refresh()) ?? '');
  assert.deepEqual([effect.points.map(({ atMs }: EffectPoint) => atMs), rest], [[3], { isWhole: false }]);
  assert.deepEqual(JSON.parse(state.whole()).effect.points.length, 3);
  sources.upstreamsSeen = [{ name: 'a', bytes: 1, requests: 1, errors: 0 }];
  assert.deepEqual(JSON.parse((await state.refresh()) ?? '').effect.points, []);
});

test('whoever has a whole state and takes each change has what a whole state would say', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  let randomState = seed;
  const random = (below: number) => {
    randomState = (randomState * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((randomState / 2 ** 31) * below);
  };
  const sources = new Played();
  const state = new LiveState(sources);
  await state.refresh();
  let seen = take(empty(), state.whole());
  for (let step = 0; step < 300; step++) {
    for (let times = random(4); times > 0; times--) {
      const [id, at] = [String(random(8)), random(8)];
      const others = sources.shown.filter((one) => one.id !== id);
      sources.shown = random(3) === 0 ? others : [pull(id, random(3)), ...others];
      const flying = sources.flying.filter((one) => one.startedAtMs !== at);
      sources.flying = random(3) === 0 ? flying : [...flying, flight(at, random(3))];
    }
    if (random(4) === 0) sources.now = { ...status, startedAtMs: random(3) };
    if (random(3) === 0) sources.points = [...sources.points, point(step)].slice(-sources.maxPoints);
    if (random(50) === 0) sources.points = [];
    const change = await state.refresh();
    if (change !== undefined) seen = take(seen, change);
    if (sources.points.length === 0) seen.points = [];
    assert.deepEqual(sorted(seen), sorted(take(empty(), state.whole())), `seed ${seed}, step ${step}`);
    if (random(40) === 0) {
      state.clear();
      await state.refresh();
      seen = take(empty(), state.whole());
    }
  }
});
