import { OnepullProcess } from '../../test/support/onepull-process.ts';
import { LeanConnection } from '../support/clients/lean-connection.ts';
import { processMemory } from '../support/process-memory.ts';
import type { RemoteProgram } from '../support/remote-calls.ts';
import { registryName, usualThreads } from '../support/subjects/onepull.ts';
import { cachedImage } from './cache-content.ts';
import type { CrowdOutcome } from './crowd.ts';
import type { Asked, CrowdMethods } from './crowd-child.ts';

/** A data directory of a cache of so many blobs. */
export interface Cache {
  readonly path: string;
  readonly blobs: number;
  readonly images: number;
}

export interface HitSample extends Pick<CrowdOutcome, 'p50Ms' | 'p99Ms' | 'failed' | 'errors'> {
  readonly asked: Asked;
  /** Few images all over again, or all of the cache at random. */
  readonly spread: 'hot' | 'random';
  readonly perSecond: number;
}

/** One start of the server on a cache that was stopped in order. */
export interface ServerSample {
  readonly round: number;
  readonly blobs: number;
  /** From the start of the process until `/readyz` says 200, and until a tag was served. */
  readonly readyMs: number;
  readonly firstHitMs: number;
  readonly startBytes: number | undefined;
  readonly hits: readonly HitSample[];
  /** Of the event loop, while it was asked. */
  readonly longestPauseMs: number;
  readonly stopMs: number;
}

export interface ServerSetup {
  readonly cache: Cache;
  readonly crowd: RemoteProgram<CrowdMethods>;
  readonly round: number;
  readonly connections: number;
  readonly hotImages: number;
  readonly loadMs: number;
}

// Nobody listens there: all that is asked for is in the cache.
const upstream = { url: 'http://127.0.0.1:9', tagTtl: '30d' };
const warmUpMs = 300;

const loads: readonly Pick<HitSample, 'asked' | 'spread'>[] = [
  { asked: 'digest', spread: 'hot' },
  { asked: 'tag', spread: 'hot' },
  { asked: 'blob', spread: 'hot' },
  { asked: 'digest', spread: 'random' },
  { asked: 'blob', spread: 'random' },
];

export async function measureServer(setup: ServerSetup): Promise<ServerSample> {
  const { cache, crowd, round, connections, hotImages, loadMs } = setup;
  const { images, blobs } = cache;
  const startedAt = performance.now();
  await using server = await startOn(cache);
  const readyMs = await readySince(server, startedAt);
  const { repository, tag } = cachedImage(images - 1);
  await askOnce(server.url, `/v2/${repository}/manifests/${tag}`);
  const firstHitMs = performance.now() - startedAt;
  const startBytes = (await processMemory(server.pid))?.residentBytes;
  const hits: HitSample[] = [];
  for (const { asked, spread } of loads) {
    const among = spread === 'hot' ? hotImages : images;
    const load = { origin: server.url, connections, durationMs: loadMs, warmUpMs };
    const { answers, seconds, p50Ms, p99Ms, failed, errors } = await crowd.call('content', {
      ...load,
      asked,
      images,
      among,
    });
    hits.push({ asked, spread, perSecond: answers / seconds, p50Ms, p99Ms, failed, errors });
  }
  const longestPauseMs = 1000 * (await server.admin.metric('nodejs_eventloop_lag_max_seconds'));
  const stoppingAt = performance.now();
  await server.terminate();
  const stopMs = performance.now() - stoppingAt;
  return { round, blobs, readyMs, firstHitMs, startBytes, hits, longestPauseMs, stopMs };
}

/** How long a start takes after the process was killed: then nothing says that the catalog knows all that is stored. */
export async function measureStartAfterKill(cache: Cache): Promise<number> {
  await using server = await startOn(cache);
  await server.killHard();
  const startedAt = performance.now();
  await server.startAgain();
  const readyMs = await readySince(server, startedAt);
  await server.terminate();
  return readyMs;
}

function startOn({ path }: Cache): Promise<OnepullProcess> {
  return OnepullProcess.start({
    storage: { path },
    server: usualThreads,
    upstreams: { [registryName]: upstream },
    // This process would have to read it.
    log: { access: false },
  });
}

/** It listens by now. */
async function readySince(server: OnepullProcess, startedAt: number): Promise<number> {
  const { status, text } = await server.admin.get('/readyz');
  if (status !== 200) throw new Error(`it listens and is not ready: ${text}`);
  return performance.now() - startedAt;
}

async function askOnce(origin: string, path: string): Promise<void> {
  using connection = new LeanConnection(origin);
  const { status } = await connection.request('GET', path, {}, () => {});
  if (status !== 200) throw new Error(`${path} is answered with ${status}`);
}
