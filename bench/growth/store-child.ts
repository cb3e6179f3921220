import { stat } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ChangeCount } from '../../src/core/change-count.ts';
import { systemClock } from '../../src/core/clock.ts';
import { acceptVariant } from '../../src/pull/accept.ts';
import { Layout } from '../../src/store/fs/layout.ts';
import { nodeDisk } from '../../src/store/fs/node-disk.ts';
import { type OpenCatalog, openCatalog } from '../../src/store/fs/open-catalog.ts';
import { openFsStore } from '../../src/store/fs/open-fs-store.ts';
import { StoreHealth } from '../../src/store/fs/store-health.ts';
import { Channels } from '../../src/telemetry/channels.ts';
import { serveCalls } from '../support/remote-calls.ts';
import { blobsPerImage, cachedImage, scopeOf } from './cache-content.ts';
import { type BuiltDirectory, buildDataDirectory } from './data-directory.ts';

export interface StoreRequest {
  readonly path: string;
  readonly images: number;
}

/** What a piece of work took. */
export interface Work {
  readonly ms: number;
  /** The longest time that the event loop stood still for it. */
  readonly longestPauseMs: number;
}

/** Microseconds for each call, over all images at random. */
export interface LookUps {
  readonly linkedUs: number;
  readonly tagUs: number;
  readonly findUs: number;
  readonly repositoriesUs: number;
}

const variant = acceptVariant(undefined).key;
const clock = systemClock;
const channels = new Channels();

async function work(run: () => Promise<void>): Promise<Work> {
  const pauses = monitorEventLoopDelay({ resolution: 1 });
  const startedAt = performance.now();
  pauses.enable();
  await run();
  pauses.disable();
  return { ms: performance.now() - startedAt, longestPauseMs: pauses.max / 1e6 };
}

async function withCatalog<T>(path: string, use: (catalog: OpenCatalog) => Promise<T>): Promise<T> {
  await using opening = new AsyncDisposableStack();
  const health = opening.use(new StoreHealth({ clock, channels, probe: async () => {} }));
  const deps = { clock, channels, changes: new ChangeCount(), disk: nodeDisk, health };
  const catalog = await openCatalog(deps, new Layout(path), 'on-disk', opening);
  return await use(catalog);
}

function usOfEach(count: number, call: (n: number) => unknown): number {
  const startedAt = performance.now();
  for (let n = 0; n < count; n++) if (call(n) === undefined) throw new Error('the cache does not know its own content');
  return ((performance.now() - startedAt) * 1000) / count;
}

const methods = {
  /** A cache of so many blobs, in a folder that is not there yet. */
  build: ({ path, blobs }: { path: string; blobs: number }): Promise<BuiltDirectory> => {
    return buildDataDirectory(path, blobs);
  },

  /** Of the catalog, with nothing between. `among`: how many images are asked for. */
  lookUps({ path, images, among }: StoreRequest & { among: number }): Promise<LookUps> {
    return withCatalog(path, async ({ catalog, blobs }) => {
      const picked = Array.from({ length: 2000 }, (_, n) => {
        const image = cachedImage(Math.floor(Math.random() * Math.min(among, images)));
        const reference = image.references[n % image.references.length] ?? image.manifest;
        return { scope: scopeOf(image), tag: image.tag, digest: reference.digest };
      });
      const at = (n: number) =>
        picked[n % picked.length] ?? { scope: scopeOf(cachedImage(0)), tag: '', digest: '' as never };
      const rounds = picked.length * 5;
      for (let n = 0; n < rounds; n++) catalog.linked(at(n).scope, at(n).digest);
      return {
        linkedUs: usOfEach(rounds, (n) => catalog.linked(at(n).scope, at(n).digest)),
        tagUs: usOfEach(rounds, (n) => catalog.tag(at(n).scope, at(n).tag, variant)),
        findUs: usOfEach(rounds, (n) => blobs.find(at(n).digest)),
        repositoriesUs: usOfEach(50, (n) => catalog.repositories(`registry.example/bench/app-${n}`, 100)),
      };
    });
  },

  /** `index.json`, whole, as after any change. */
  writeIndex({ path }: StoreRequest): Promise<Work & { sizeBytes: number }> {
    return withCatalog(path, async ({ index }) => {
      index.begin();
      index.changed();
      const written = await work(() => index.flush());
      return { ...written, sizeBytes: (await stat(new Layout(path).index)).size };
    });
  },

  /** What an operator looks at: a page of images, a search among all names, and an order by sizes that nobody has counted yet. */
  async listImages({ path, images }: StoreRequest): Promise<{ page: Work; search: Work; sizes: Work }> {
    const never = new AbortController().signal;
    const cache = { path, maxSizeBytes: Number.MAX_SAFE_INTEGER, scrubBytesPerSecond: 0 };
    await using store = await openFsStore({ clock, channels }, cache);
    const list = async (order: 'used' | 'size', search?: string) => {
      const { total } = await store.images.list({ order, search, limit: 50, after: undefined }, never);
      if (search === undefined && total !== images) throw new Error(`${total} of ${images} images are listed`);
    };
    const page = await work(() => list('used'));
    const search = await work(() => list('used', 'no image has this name'));
    return { page, search, sizes: await work(() => list('size')) };
  },

  /** The search for files that the catalog does not know, as after a crash. */
  async walk({ path }: StoreRequest): Promise<Work> {
    await withCatalog(path, async ({ state }) => state.clear('complete'));
    const cache = { path, maxSizeBytes: Number.MAX_SAFE_INTEGER, scrubBytesPerSecond: 0 };
    await using store = await openFsStore({ clock, channels }, cache);
    return await work(() => store.settled);
  },

  /** A cache that is full and makes room for one more blob, so that about so many images leave, a tenth of all at most. */
  async evict({ path, images, leaving }: StoreRequest & { leaving: number }): Promise<Work & { blobs: number }> {
    const { sizeBytes } = await withCatalog(path, async ({ blobs }) => blobs.totals());
    const leavingBytes = Math.floor((sizeBytes / images) * leaving);
    // Eviction goes on to 90% of the bound.
    const maxSizeBytes = Math.ceil((sizeBytes - leavingBytes) / 0.9);
    await using store = await openFsStore({ clock, channels }, { path, maxSizeBytes, scrubBytesPerSecond: 0 });
    await store.settled;
    const before = store.stats().blobs;
    const evicted = await work(async () => {
      const room = await store.content.makeRoom(maxSizeBytes - sizeBytes + 1);
      if (room !== 'enough') throw new Error(`no room: ${room}`);
    });
    const blobs = before - store.stats().blobs;
    if (blobs < Math.min(images - 1, leaving) * blobsPerImage * 0.5) throw new Error(`only ${blobs} blobs left`);
    return { ...evicted, blobs };
  },
};

export type StoreMethods = typeof methods;

serveCalls(methods);
