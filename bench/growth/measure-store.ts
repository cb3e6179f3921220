import { RemoteProgram } from '../support/remote-calls.ts';
import { type Cache, measureStartAfterKill } from './measure-server.ts';
import type { LookUps, StoreMethods, Work } from './store-child.ts';

const program = new URL('./store-child.ts', import.meta.url);

/** Of the store alone, in a process that does nothing else. */
export interface StoreSample {
  readonly round: number;
  readonly blobs: number;
  readonly hot: LookUps;
  readonly random: LookUps;
  readonly index: Work & { readonly sizeBytes: number };
}

/** What is measured once for each cache, for it takes long or leaves another cache behind. */
export interface UpkeepSample {
  readonly blobs: number;
  readonly readyAfterKillMs: number;
  readonly walk: Work;
  readonly list: { readonly page: Work; readonly search: Work; readonly sizes: Work };
  readonly eviction: Work & { readonly blobs: number };
}

export async function measureStore(cache: Cache, round: number, hotImages: number): Promise<StoreSample> {
  await using store = new RemoteProgram<StoreMethods>(program);
  const hot = await store.call('lookUps', { ...cache, among: hotImages });
  const random = await store.call('lookUps', { ...cache, among: cache.images });
  return { round, blobs: cache.blobs, hot, random, index: await store.call('writeIndex', cache) };
}

/** Last of all: it evicts. */
export async function measureUpkeep(cache: Cache, leavingImages: number): Promise<UpkeepSample> {
  const readyAfterKillMs = await measureStartAfterKill(cache);
  await using store = new RemoteProgram<StoreMethods>(program);
  const walk = await store.call('walk', cache);
  const list = await store.call('listImages', cache);
  const leaving = Math.min(leavingImages, Math.max(1, Math.floor(cache.images / 12)));
  const eviction = await store.call('evict', { ...cache, leaving });
  return { blobs: cache.blobs, readyAfterKillMs, walk, list, eviction };
}

export async function buildCache(path: string, blobs: number): Promise<Cache> {
  await using store = new RemoteProgram<StoreMethods>(program);
  const { images } = await store.call('build', { path, blobs });
  const cache = { path, blobs, images };
  // As a cache that was stopped in order has it.
  await store.call('writeIndex', cache);
  return cache;
}
