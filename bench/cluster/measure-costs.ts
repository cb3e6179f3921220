import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { manifestMediaTypes } from '../../src/core/media-types.ts';
import { freePort } from '../../test/support/loopback.ts';
import type { OnepullProcess } from '../../test/support/onepull-process.ts';
import { RedisServer } from '../../test/support/redis-server.ts';
import { ClientFleet } from '../support/clients/client-fleet.ts';
import { LeanConnection } from '../support/clients/lean-connection.ts';
import { fetchManifest } from '../support/clients/lean-pull.ts';
import type { LoadOutcome } from '../support/load/load.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import type { UpstreamImage } from '../support/upstream/upstream-child.ts';
import { allHeard, LoopbackCluster, startNode } from './loopback-cluster.ts';
import type { CostParameters } from './parameters.ts';

/** `well`: the engine answers; `hangs`: it is there and says nothing; `gone`: nobody listens there. */
export const engineStates = ['well', 'hangs', 'gone'] as const;
export type EngineState = (typeof engineStates)[number];

export const missKinds = ['blob', 'tag'] as const;
export type MissKind = (typeof missKinds)[number];

/** Misses of small content, each asked of both, one after the other. */
export interface MissSample {
  readonly round: number;
  readonly engine: EngineState;
  readonly kind: MissKind;
  /** The whole answer, by the node on its own and by the one in a cluster. */
  readonly aloneMs: readonly number[];
  readonly sharedMs: readonly number[];
}

/** Hits, asked of one and then of the other. */
export interface HitSample {
  readonly round: number;
  readonly kind: MissKind;
  readonly alonePerSecond: number;
  readonly sharedPerSecond: number;
  readonly sharedHits: number;
  /** Calls of the engine by all nodes, in that time and in as long a time without a request. */
  readonly engineCalls: number;
  readonly idleCalls: number;
}

export interface Costs {
  readonly misses: readonly MissSample[];
  readonly hits: readonly HitSample[];
}

/** The one in a cluster has a neighbour, which is never asked for anything. */
const clusterNodes = 2;
const accept = manifestMediaTypes.join(', ');

interface Scene {
  readonly upstream: Upstream;
  readonly fleet: ClientFleet;
  readonly alone: OnepullProcess;
  readonly shared: OnepullProcess;
}

/** What being in a cluster costs one node: a miss, a hit, and a miss while the engine does not answer. */
export async function measureCosts(parameters: CostParameters, progress: (line: string) => void): Promise<Costs> {
  await using opened = new AsyncDisposableStack();
  const port = await freePort();
  let engine = await RedisServer.start({ port });
  opened.defer(() => engine[Symbol.asyncDispose]());
  const upstream = opened.use(await Upstream.start());
  const fleet = opened.use(new ClientFleet(1));
  const alone = opened.use(await startNode(upstream.url));
  const cluster = opened.use(await LoopbackCluster.start(clusterNodes, upstream.url, engine));
  const [shared] = cluster.nodes;
  if (shared === undefined) throw new Error('the cluster has no node');
  const scene: Scene = { upstream, fleet, alone, shared };
  await missesOf(scene, 0, 'well', parameters); // Both have done all of it once.
  const [misses, hits]: [MissSample[], HitSample[]] = [[], []];
  const measured = (...samples: MissSample[]) => {
    misses.push(...samples);
    for (const sample of samples) progress(`costs, round ${sample.round}/${parameters.rounds}  ${missText(sample)}`);
  };
  for (let round = 1; round <= parameters.rounds; round++) {
    measured(...(await missesOf(scene, round, 'well', parameters)));
    hits.push(...(await hitsOf(scene, engine, round, parameters)));
    engine.signal('SIGSTOP');
    measured(...(await missesOf(scene, round, 'hangs', parameters)));
    engine.signal('SIGCONT');
    await allHeard(cluster.nodes);
    await engine[Symbol.asyncDispose]();
    measured(...(await missesOf(scene, round, 'gone', parameters)));
    engine = await RedisServer.start({ port });
    await allHeard(cluster.nodes);
  }
  return { misses, hits };
}

async function missesOf(
  scene: Scene,
  round: number,
  engine: EngineState,
  { misses, absentMisses, pauseMs: pause, blobBytes }: CostParameters,
): Promise<MissSample[]> {
  const { upstream, fleet, alone, shared } = scene;
  const [count, pauseMs] = engine === 'well' ? [misses, 0] : [absentMisses, pause];
  const name = `bench/${engine}-${round}`;
  const layerSizes = Array.from({ length: count }, () => blobBytes);
  const image = await upstream.add({ repository: name, tag: 'v1', seed: name, layerSizes });
  // Blobs are served through a repository that refers to them, which its manifest says.
  const links = [alone, shared].map(({ url }) =>
    fleet.first.call('manifest', { origin: url, repository: name, tag: 'v1' }),
  );
  await Promise.all(links);
  const layers = image.blobs.slice(1).map(({ digest }) => `/v2/${name}/blobs/${digest}`);
  const tags: string[] = [];
  for (let n = 0; n < count; n++) {
    const tagged = { repository: name, tag: `t${n}`, seed: `${name} ${n}`, layerSizes: [64] };
    await upstream.add(tagged);
    tags.push(`/v2/${name}/manifests/t${n}`);
  }
  const samples: MissSample[] = [];
  for (const [kind, paths] of [
    ['blob', layers],
    ['tag', tags],
  ] as const) {
    const asked = paths.flatMap((path, n) => {
      const both = [alone, shared].map(({ url }) => ({ origin: url, path, accept }));
      return n % 2 === 0 ? both : both.toReversed();
    });
    const allMs = await fleet.first.call('turns', { asked, pauseMs });
    const of = (node: OnepullProcess) => allMs.filter((_, n) => asked[n]?.origin === node.url).map(hundredths);
    samples.push({ round, engine, kind, aloneMs: of(alone), sharedMs: of(shared) });
  }
  return samples;
}

async function hitsOf(
  scene: Scene,
  engine: RedisServer,
  round: number,
  parameters: CostParameters,
): Promise<HitSample[]> {
  const { upstream, alone, shared } = scene;
  const repository = `bench/hit-${round}`;
  const seed = repository;
  const image = await upstream.add({ repository, tag: 'v1', seed, layerSizes: [parameters.blobBytes] });
  for (const { url } of [alone, shared]) await warmUp(url, image);
  const { digest: blob, sizeBytes: blobBytes } = image.blobs.at(-1) ?? image.manifest;
  await using redis = await askEngine(engine);
  const samples: HitSample[] = [];
  for (const [kind, path, sizeBytes] of [
    ['blob', `/v2/${repository}/blobs/${blob}`, blobBytes],
    ['tag', `/v2/${repository}/manifests/v1`, image.manifest.sizeBytes],
  ] as const) {
    const idleFrom = await redis.calls();
    await delay(2 * parameters.hitMs);
    const idleCalls = (await redis.calls()) - idleFrom;
    const loads: Record<'alone' | 'shared', LoadOutcome[]> = { alone: [], shared: [] };
    let engineCalls = 0;
    // Whoever comes later finds warmer code and another machine: there and back again.
    for (const who of ['alone', 'shared', 'shared', 'alone'] as const) {
      const from = await redis.calls();
      loads[who].push(await loadOf(scene, scene[who], { path, sizeBytes }, parameters));
      if (who === 'shared') engineCalls += (await redis.calls()) - from;
    }
    samples.push({
      round,
      kind,
      alonePerSecond: rateOf(loads.alone),
      sharedPerSecond: rateOf(loads.shared),
      sharedHits: loads.shared.reduce((sum, { requests }) => sum + requests, 0),
      engineCalls,
      idleCalls,
    });
  }
  return samples;
}

async function loadOf(
  { fleet }: Scene,
  { url: origin }: OnepullProcess,
  { path, sizeBytes }: { path: string; sizeBytes: number },
  { hitConnections: connections, hitMs: durationMs }: CostParameters,
) {
  const request = { origin, method: 'GET', path, headers: { accept }, sizeBytes } as const;
  const outcome = await fleet.first.call('load', { request, load: { connections, durationMs } });
  if (outcome.errors.length > 0) throw new Error(`${origin}${path}: ${outcome.errors.join('; ')}`);
  return outcome;
}

function rateOf(loads: readonly LoadOutcome[]): number {
  const requests = loads.reduce((sum, load) => sum + load.requests, 0);
  return requests / loads.reduce((sum, { seconds }) => sum + seconds, 0);
}

async function warmUp(origin: string, { repository, tag, blobs }: UpstreamImage): Promise<void> {
  using connection = new LeanConnection(origin);
  await fetchManifest(connection, { origin, repository, tag });
  for (const { digest } of blobs) await connection.request('GET', `/v2/${repository}/blobs/${digest}`, {}, () => {});
  await connection.request('GET', `/v2/${repository}/manifests/${tag}`, { accept }, () => {});
}

/** How often scripts were run in the engine since it began. */
async function askEngine(engine: RedisServer) {
  const redis = new Redis(engine.url, { lazyConnect: true });
  await redis.connect();
  return {
    async calls(): Promise<number> {
      const told = await redis.info('commandstats');
      const counts = [...told.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)].map(([, calls]) => Number(calls));
      return counts.reduce((sum, calls) => sum + calls, 0);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      redis.disconnect();
    },
  };
}

function missText({ engine, kind, aloneMs, sharedMs }: MissSample): string {
  const most = (values: readonly number[]) => `${Math.max(...values).toFixed(1)} ms`;
  return `engine ${engine}, ${aloneMs.length} misses of a ${kind}: at most ${most(sharedMs)}, alone ${most(aloneMs)}`;
}

function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
