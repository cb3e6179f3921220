import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { patched } from '../core/merge-patch.ts';
import type { FlightSnapshot } from '../flights/flight-snapshot.ts';
import type { PreheatImageSnapshot, PreheatSnapshot } from '../pull/preheat/preheat-snapshot.ts';
import type { LayerSnapshot, PullSnapshot } from '../pull/pull-board.ts';
import type { EffectPoint, EffectSnapshot } from '../telemetry/effect-snapshot.ts';
import { type LiveSources, LiveState } from './live-state.ts';
import type { Status } from './status.ts';

const digest = digestOf(Buffer.from('x'));
const none = { p50: undefined, p90: undefined, p99: undefined };

function pull(id: string, filledBytes = 0): PullSnapshot {
  const counts = {
    sizeBytes: 100,
    filledBytes,
    waiters: 0,
    pulls: 1,
    upstreamRequests: 0,
    upstreamBytes: 0,
    peerBytes: 0,
  };
  const times = { firstAskedAtMs: 1, lastAskedAtMs: 2 };
  return {
    id,
    image: `r.example/${id}:v1`,
    manifest: digest,
    state: 'pulling',
    ...counts,
    ...times,
    clients: [],
    layers: [layer(0), layer(filledBytes)],
  };
}

function layer(filledBytes: number): LayerSnapshot {
  const none = { waitingFor: undefined, error: undefined };
  const counts = { sizeBytes: 100, filledBytes, waiters: 0, upstreamBytes: 0, peerBytes: 0 };
  return { digest, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', state: 'pulling', ...counts, ...none };
}

/** As it stands in the document. */
function entry(snapshot: PullSnapshot) {
  return { ...snapshot, layers: { ...snapshot.layers } };
}

function flight(startedAtMs: number, filledBytes = 0): FlightSnapshot {
  const lists = { ranges: [], sources: [] };
  const counts = {
    waiters: 1,
    receivedBytes: 0,
    peerBytes: 0,
    rateBytesPerSecond: 0,
    attempts: 1,
    peerAttempts: 0,
    ageMs: 1,
  };
  const nothing = { waitingFor: undefined, sizeBytes: undefined, notKept: undefined, error: undefined };
  return { digest, state: 'pulling', filledBytes, startedAtMs, ...lists, ...counts, ...nothing };
}

function preheat(id: string, images: readonly PreheatImageSnapshot[], endedAtMs?: number): PreheatSnapshot {
  const imageCounts = { waiting: 0, pulling: images.length, done: 0, failed: 0, cancelled: 0 };
  const sums = { sizeBytes: 100, filledBytes: 0 };
  const state = endedAtMs === undefined ? 'running' : 'done';
  return { id, state, platforms: [], startedAtMs: 1, endedAtMs, ...sums, imageCounts, images };
}

function preheatImage(name: string, filledBytes: number): PreheatImageSnapshot {
  const nothing = { manifest: undefined, waitingFor: undefined, error: undefined, warning: undefined };
  const one = { digest, mediaType: 'x', sizeBytes: 100, filledBytes, state: 'pulling' as const, ...nothing };
  return { image: name, state: 'pulling', platforms: [], ...nothing, sizeBytes: 100, filledBytes, layers: [one] };
}

function point(atMs: number): EffectPoint {
  return { atMs, servedBytes: 1, upstreamBytes: 0, peerBytes: 0, requests: 0, hits: 0, coalesced: 0, failures: 0 };
}

const status: Status = {
  ...{ version: '1', node: '26', startedAtMs: 1, state: 'ready', reasons: [], warnings: [], listen: 'x:1', tls: false },
  cache: { sizeBytes: 0, maxBytes: 1, diskFreeBytes: undefined, images: 0, blobs: 0, strayBytes: 0 },
  effect: {
    ...{ servedBytes: 0, upstreamBytes: 0, savedBytes: 0, requests: 0, upstreamRequests: 0, coalescedRequests: 0 },
    hitRatio: undefined,
  },
  pulls: { waiting: 0, pulling: 0, verifying: 0, incomplete: 0, done: 0, failed: 0 },
};

/** What the test says is so. */
class Played implements LiveSources {
  shown: PullSnapshot[] = [];
  flying: FlightSnapshot[] = [];
  heating: PreheatSnapshot[] = [];
  now: Status = status;
  points: EffectPoint[] = [];
  upstreamsSeen: { name: string; bytes: number; requests: number; errors: number }[] = [];
  readonly maxPoints = 5;

  pulls = async () => this.shown;
  flights = () => this.flying;
  preheats = () => this.heating;
  upstreams = () => [];
  cluster = () => undefined;
  status = async () => this.now;
  effect = (): EffectSnapshot => {
    const { maxPoints, points, upstreamsSeen: upstreams } = this;
    return { stepMs: 5000, maxPoints, points: [...points], firstByteMs: none, pullMs: none, upstreams };
  };
}

async function changeOf(state: LiveState): Promise<unknown> {
  const text = await state.refresh();
  return text === undefined ? undefined : JSON.parse(text);
}

async function seenAtFirst(sources: LiveSources): Promise<LiveState> {
  const state = new LiveState(sources);
  assert.equal(await state.refresh(), undefined, 'nothing stood there that could have changed');
  return state;
}

test('of entries that have changed the changed fields are told, new ones whole, those that are gone by their names', async () => {
  const sources = new Played();
  sources.shown = [pull('1'), pull('2')];
  sources.flying = [flight(1)];
  const state = await seenAtFirst(sources);
  assert.deepEqual(Object.keys(JSON.parse(state.whole()).pulls), ['1', '2']);
  assert.equal(await changeOf(state), undefined, 'nothing has changed');
  sources.shown = [pull('1'), pull('2')];
  assert.equal(await changeOf(state), undefined, 'other objects that say the same');
  sources.shown = [pull('2', 50), pull('3')];
  sources.flying = [flight(2)];
  const told = (value: unknown) => JSON.parse(JSON.stringify(value));
  assert.deepEqual(await changeOf(state), {
    pulls: { 1: null, 2: { filledBytes: 50, layers: { 1: { filledBytes: 50 } } }, 3: told(entry(pull('3'))) },
    flights: { [`${digest}@1`]: null, [`${digest}@2`]: told({ id: `${digest}@2`, ...flight(2) }) },
  });
});

test('an object that comes again is not looked into', async () => {
  const sources = new Played();
  let looks = 0;
  const counted = { ...pull('1') };
  Object.defineProperty(counted, 'image', {
    enumerable: true,
    get: () => {
      looks++;
      return 'r.example/1:v1';
    },
  });
  sources.shown = [counted];
  const state = await seenAtFirst(sources);
  for (let times = 0; times < 5; times++) await state.refresh();
  assert.equal(looks, 1);
});

test('of a preheat the changed images are told, without their layers; one that has ended is not looked into', async () => {
  const sources = new Played();
  const ended = preheat('1', [preheatImage('a', 100)], 5);
  const still = preheatImage('b', 0);
  sources.heating = [preheat('2', [still, preheatImage('c', 10)]), ended];
  const state = await seenAtFirst(sources);
  const { preheats } = JSON.parse(state.whole());
  assert.deepEqual(preheats[1].images[0].layers, undefined);
  assert.deepEqual(
    Object.values<{ image: string }>(preheats[2].images).map(({ image }) => image),
    ['b', 'c'],
  );
  sources.heating = [preheat('2', [still, preheatImage('c', 20)]), ended];
  assert.deepEqual(await changeOf(state), { preheats: { 2: { images: { 1: { filledBytes: 20 } } } } });
  Object.defineProperty(ended, 'images', { get: () => assert.fail('it was looked into') });
  sources.heating = [ended];
  assert.deepEqual(await changeOf(state), { preheats: { 2: null } });
});

test('of the effect only points that come or go are told', async () => {
  const sources = new Played();
  sources.points = [point(1), point(2)];
  const state = await seenAtFirst(sources);
  sources.points = [...sources.points.slice(1), point(3)];
  assert.deepEqual(await changeOf(state), { effect: { points: { 1: null, 3: point(3) } } });
  assert.deepEqual(Object.keys(JSON.parse(state.whole()).effect.points), ['2', '3']);
  sources.upstreamsSeen = [{ name: 'a', bytes: 1, requests: 1, errors: 0 }];
  assert.deepEqual(await changeOf(state), { effect: { upstreams: sources.upstreamsSeen } });
});

test('500 images of which each has moved are told in a sixth of what they are', async () => {
  const sources = new Played();
  const numbers = Array.from({ length: 500 }, (_, n) => n);
  const show = (filledBytes: number) => {
    sources.shown = numbers.map((n) => pull(String(n), filledBytes));
    sources.flying = numbers.map((n) => flight(n, filledBytes));
  };
  show(1_000_000);
  const state = await seenAtFirst(sources);
  show(2_000_000);
  const change = await state.refresh();
  assert.ok((change?.length ?? 0) * 6 < state.whole().length, `${change?.length} of ${state.whole().length}`);
});

test('whoever has a whole state and takes each change has what a whole state would say', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  let randomState = seed;
  const random = (below: number) => {
    randomState = (randomState * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((randomState / 2 ** 31) * below);
  };
  const sources = new Played();
  const state = await seenAtFirst(sources);
  let seen = JSON.parse(state.whole());
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
    const change = await changeOf(state);
    if (change !== undefined) seen = patched(seen, change);
    assert.deepEqual(seen, JSON.parse(state.whole()), `seed ${seed}, step ${step}`);
    if (random(40) === 0) {
      state.clear();
      await state.refresh();
      seen = JSON.parse(state.whole());
    }
  }
});
