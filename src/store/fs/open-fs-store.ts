import { ChangeCount } from '../../core/change-count.ts';
import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { Catalog } from '../catalog.ts';
import type { ContentHasher } from '../content-hasher.ts';
import type { ContentStore } from '../content-store.ts';
import { InlineHasher } from '../hashing/inline-hasher.ts';
import type { Images } from '../images.ts';
import { adoptStored } from './blob-walk.ts';
import { isCatalogDamage } from './catalog-database.ts';
import { lockDataDirectory } from './data-lock.ts';
import type { Disk } from './disk.ts';
import { exists } from './file-io.ts';
import type { FsContentStore } from './fs-content-store.ts';
import { FsImages } from './fs-images.ts';
import { Layout, markLayout, prepareLayout } from './layout.ts';
import { nodeDisk } from './node-disk.ts';
import { type CatalogPlace, type OpenCatalog, openCatalog } from './open-catalog.ts';
import { type ContentParts, openContent } from './open-content.ts';
import { Purge } from './purge.ts';
import { restoreCatalog } from './restore.ts';
import { Scrub } from './scrub.ts';
import { foreseen } from './storage-error.ts';
import { StoreHealth } from './store-health.ts';
import { storeProbe } from './store-probe.ts';

export interface FsStoreDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  /** Counts whatever makes what was told before untrue; one of its own unless told. */
  readonly changes?: ChangeCount;
  /** This machine's, unless told. */
  readonly disk?: Disk;
  /** Hashes content that is to be proven; in this thread unless told. */
  readonly hasher?: ContentHasher;
}

type Deps = Required<FsStoreDeps> & { readonly boot: string | undefined };

export interface FsStoreOptions {
  /** The data directory; created where it is missing. */
  readonly path: string;
  readonly maxSizeBytes: number;
  /** 0 turns the scrub off. */
  readonly scrubBytesPerSecond: number;
  /** About so many bytes of each fill may be lost with the machine; 64 MiB unless told. */
  readonly syncEveryBytes?: number;
  /** Content that was not hashed for so long is hashed when it is opened; 0, the default: each time. */
  readonly verifyAfterMs?: number;
  /** Free space that the disk keeps; none unless told. */
  readonly minFreeBytes?: number;
  /** So many files stay open that nobody reads just now; 512 unless told. */
  readonly maxIdleFiles?: number;
}

/** What a walk over the stored files may take of the time: after a crash, and again and again for the scrub. */
const [walkShare, scrubWalkShare] = [0.2, 0.05];

export interface FsStoreStats {
  /** Committed content, open fills and left partial files. */
  readonly sizeBytes: number;
  readonly maxSizeBytes: number;
  readonly blobs: number;
  /** What no manifest references that is known: nobody can name it, and it is the first to leave. */
  readonly strayBytes: number;
  readonly openPartials: number;
  readonly leftoverPartials: number;
  /** What the open fills are still going to write, as far as their sizes are known. */
  readonly reservedBytes: number;
}

export interface FsStore extends AsyncDisposable {
  readonly content: ContentStore;
  readonly catalog: Catalog;
  /** What is here by name. */
  readonly images: Images;
  stats(): FsStoreStats;
  /** What is free on the disk, as of a second ago at most; undefined where the system does not say. */
  diskFreeBytes(): Promise<number | undefined>;
  /** What is wrong with the disk or the catalog, in words, while the store goes on as well as it can. Empty: nothing. */
  health(): readonly string[];
  /** Resolves once the catalog knows every file: at once, but after a crash or a lost catalog. Never rejects. */
  readonly settled: Promise<void>;
}

/**
 * Opens the store in a data directory. Rejects with STORAGE_LOCKED where another process uses it, with STORAGE_FAILED
 * or STORAGE_FULL where it cannot be used, each in one line. Dispose of it after all users of it are done.
 */
export async function openFsStore(deps: FsStoreDeps, options: FsStoreOptions): Promise<FsStore> {
  const open = () => openOnce(deps, options, 'on-disk');
  try {
    return await open().catch((error) => {
      if (!isCatalogDamage(error)) throw error;
      // It showed up after the catalog was opened, and is noted beside it: this time it is set aside.
      return open();
    });
  } catch (error) {
    const full = fullOf(error);
    if (full === undefined) throw error;
    // A catalog that is there needs no room to be read. For one that is to be begun, or rebuilt, there is none.
    return await openOnce(deps, options, 'in-memory', full);
  }
}

/** The STORAGE_FULL that a start failed of, or undefined. */
function fullOf(error: unknown): AppError | undefined {
  if (error instanceof SuppressedError) return fullOf(error.error) ?? fullOf(error.suppressed);
  return error instanceof AppError && error.code === 'STORAGE_FULL' ? error : undefined;
}

/** @param full why the catalog is in memory */
async function openOnce(
  given: FsStoreDeps,
  options: FsStoreOptions,
  place: CatalogPlace,
  full?: AppError,
): Promise<FsStore> {
  const disk = given.disk ?? nodeDisk;
  const { changes = new ChangeCount() } = given;
  const hasher = given.hasher ?? new InlineHasher();
  const deps = { ...given, changes, disk, hasher, boot: await disk.boot() };
  await using opening = new AsyncDisposableStack();
  const layout = new Layout(options.path);
  await prepareLayout(deps.disk, layout);
  opening.use(await lockDataDirectory(layout.root));
  await markLayout(deps.disk, layout);
  const health: StoreHealth = opening.use(new StoreHealth({ ...given, probe: (trouble) => probe(trouble) }));
  const catalogParts = await openCatalog({ ...deps, health }, layout, place, opening);
  if (full !== undefined) health.failed('memory-catalog', full.cause ?? full);
  const { atStart, state, blobs, catalog } = catalogParts;
  const contentParts = openContent({ ...deps, ...catalogParts, health }, options, layout, opening);
  const { content, ingest, reservations, room, space, usageBytes } = contentParts;
  const probe = storeProbe({ disk, space, ...catalogParts }, layout, options);
  await ingest.scan();
  if (state.get('restored') === undefined) {
    const { channels } = deps;
    await restoreCatalog({ channels, layout, ...atStart });
    state.set('restored', 'yes');
  }
  catalogParts.index.begin();
  // A process that was killed may not have come to write what had changed last.
  if (state.get('complete') === undefined || !(await exists(layout.index))) catalogParts.index.changed();
  const walk = startWalk(deps, layout, catalogParts, content, opening);
  const settled = walk.then(() => room.keep());
  const scrub = opening.use(openScrub(deps, options, catalogParts, contentParts, layout));
  void settled.then(() => scrub.start());
  const images = openImages(deps, catalogParts, contentParts, opening);
  const closing = opening.move();
  return {
    content,
    catalog,
    images,
    settled,
    stats: () => ({
      sizeBytes: usageBytes(),
      maxSizeBytes: options.maxSizeBytes,
      blobs: blobs.totals().blobs,
      strayBytes: blobs.strayTotals().sizeBytes,
      openPartials: ingest.openCount,
      leftoverPartials: ingest.leftoverCount,
      reservedBytes: reservations.total(),
    }),
    diskFreeBytes: () => space.freeBytes(),
    health: () => health.reasons(),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function openImages(
  { clock, channels }: Deps,
  catalogParts: OpenCatalog,
  { content, files, ingest, kept, queue }: ContentParts,
  opening: AsyncDisposableStack,
): Images {
  const { backlog, blobs, imageList, imageNames, imageTable, indexChanged, now, pinned, references } = catalogParts;
  const discard = (digest: Digest) => content.discard(digest);
  const parts = { clock, channels, blobs, references, ...now, names: imageNames, files, ingest, kept, queue, discard };
  const purge = opening.use(new Purge(parts));
  const list = imageList;
  return new FsImages({ backlog, table: imageTable, names: imageNames, list, purge, pinned, changed: indexChanged });
}

/** Walks `blobs/` in the background, unless the last use of the store left the catalog complete. */
function startWalk(
  { clock, channels }: Deps,
  layout: Layout,
  { backlog, blobs, state }: OpenCatalog,
  content: FsContentStore,
  opening: AsyncDisposableStack,
): Promise<void> {
  let isComplete = state.get('complete') !== undefined;
  backlog.write(() => state.clear('complete'));
  const abort = new AbortController();
  const walk = async () => {
    if (isComplete) return;
    try {
      isComplete = await adoptStored({ clock, layout, blobs, content }, { share: walkShare }, abort.signal);
    } catch (error) {
      channels.notice.publish({
        level: 'error',
        message: 'cannot walk the stored content',
        error: foreseen(error, 'walk'),
      });
    }
  };
  const walking = walk();
  opening.defer(async () => {
    abort.abort();
    await walking;
    // Where it cannot be said the next start walks again.
    const isKnown = isComplete && backlog.isComplete;
    backlog.write(() => (isKnown ? state.set('complete', 'yes') : state.clear('complete')));
  });
  return walking;
}

function openScrub(
  { clock, channels, hasher }: Deps,
  { scrubBytesPerSecond }: FsStoreOptions,
  { backlog, blobs, state }: OpenCatalog,
  { condemnation, content }: ContentParts,
  layout: Layout,
): Scrub {
  const position = {
    get: () => backlog.read(() => state.get('scrubbed'), undefined),
    set: (digest: string) => void backlog.write(() => state.set('scrubbed', digest)),
  };
  const walk = (signal: AbortSignal) =>
    adoptStored({ clock, layout, blobs, content }, { share: scrubWalkShare }, signal);
  return new Scrub(
    { clock, channels, hasher, blobs, condemnation, content, adoptStored: walk, position },
    { bytesPerSecond: scrubBytesPerSecond },
  );
}
