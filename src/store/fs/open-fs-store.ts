import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { Catalog } from '../catalog.ts';
import type { ContentStore } from '../content-store.ts';
import { adoptStored } from './blob-walk.ts';
import { AccessTimes } from './catalog-access-times.ts';
import { BlobTable } from './catalog-blobs.ts';
import { openCatalogDatabase } from './catalog-database.ts';
import { ReferenceGraph } from './catalog-graph.ts';
import { CatalogIndex } from './catalog-index.ts';
import { CatalogRemoval } from './catalog-removal.ts';
import { SqliteCatalog } from './catalog-sqlite.ts';
import { CatalogState } from './catalog-state.ts';
import { CatalogTidy } from './catalog-tidy.ts';
import { lockDataDirectory } from './data-lock.ts';
import { DigestQueue } from './digest-queue.ts';
import type { Disk } from './disk.ts';
import { Evictor } from './eviction.ts';
import { FsContentStore } from './fs-content-store.ts';
import { IndexWriter } from './index-writer.ts';
import { IngestFolder } from './ingest-folder.ts';
import { Layout, prepareLayout } from './layout.ts';
import { nodeDisk } from './node-disk.ts';
import { type HeldFile, OpenFiles } from './open-files.ts';
import { ProofLedger } from './proof-ledger.ts';
import { Proofs, proofDefaults } from './proofs.ts';
import { Quarantine } from './quarantine.ts';
import { restoreCatalog } from './restore.ts';
import { Scrub } from './scrub.ts';

export interface FsStoreDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  /** This machine's, unless told. */
  readonly disk?: Disk;
}

type Deps = Required<FsStoreDeps>;

export interface FsStoreOptions {
  /** The data directory; created where it is missing. */
  readonly path: string;
  readonly maxSizeBytes: number;
  /** 0 turns the scrub off. */
  readonly scrubBytesPerSecond: number;
  /** Content that was not hashed for so long is hashed when it is opened; 0, the default: each time. */
  readonly verifyAfterMs?: number;
}

export interface FsStoreStats {
  /** Committed content, open fills and left partial files. */
  readonly sizeBytes: number;
  readonly maxSizeBytes: number;
  readonly blobs: number;
  readonly openPartials: number;
  readonly leftoverPartials: number;
}

export interface FsStore extends AsyncDisposable {
  readonly content: ContentStore;
  readonly catalog: Catalog;
  stats(): FsStoreStats;
  /** Whether the content may never be evicted. Says whether it is here at all. */
  setPinned(digest: Digest, isPinned: boolean): boolean;
  /** Resolves once the catalog knows every file: at once, but after a crash or a lost catalog. Never rejects. */
  readonly settled: Promise<void>;
}

/**
 * Opens the store in a data directory. Rejects with STORAGE_LOCKED where another process uses it, with STORAGE_FAILED
 * or STORAGE_FULL where it cannot be used, each in one line. Dispose of it after all users of it are done.
 */
export async function openFsStore(given: FsStoreDeps, options: FsStoreOptions): Promise<FsStore> {
  const deps = { disk: nodeDisk, ...given };
  await using opening = new AsyncDisposableStack();
  const layout = new Layout(options.path);
  await prepareLayout(deps.disk, layout);
  opening.use(await lockDataDirectory(layout.root));
  const catalogParts = await openCatalog(deps, layout, opening);
  const { state, blobs, catalog, database } = catalogParts;
  const contentParts = openContent(deps, options, layout, catalogParts, opening);
  const { content, ingest, evictor, usageBytes } = contentParts;
  await ingest.scan();
  if (state.get('restored') === undefined) {
    const { channels } = deps;
    const transaction = <T>(work: () => T) => database.transaction(work);
    await restoreCatalog({ channels, layout, catalog, blobs, transaction });
    state.set('restored', 'yes');
  }
  const walk = startWalk(deps, layout, catalogParts.state, content, opening);
  const settled = walk.then(() => evictor.makeRoom(0));
  const scrub = opening.use(openScrub(deps, options, catalogParts, contentParts, layout));
  void settled.then(() => scrub.start());
  const closing = opening.move();
  return {
    content,
    catalog,
    settled,
    setPinned: (digest, isPinned) => blobs.setPinned(digest, isPinned),
    stats: () => ({
      sizeBytes: usageBytes(),
      maxSizeBytes: options.maxSizeBytes,
      blobs: blobs.totals().blobs,
      openPartials: ingest.openCount,
      leftoverPartials: ingest.leftoverCount,
    }),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

type CatalogParts = Awaited<ReturnType<typeof openCatalog>>;
type ContentParts = ReturnType<typeof openContent>;

async function openCatalog(deps: Deps, layout: Layout, opening: AsyncDisposableStack) {
  const { clock, channels, disk } = deps;
  const database = opening.use(await openCatalogDatabase(deps, layout.catalog));
  const source = new CatalogIndex(database);
  const index = opening.use(new IndexWriter({ clock, channels, disk, source }, layout.index, layout.indexDraft));
  const changed = () => index.changed();
  const removal = new CatalogRemoval({ database, changed });
  const tidy = new CatalogTidy({ clock, database, removal });
  const accessTimes = opening.use(new AccessTimes({ clock, database }, () => tidy.step()));
  return {
    database,
    accessTimes,
    catalog: new SqliteCatalog({ clock, database, accessTimes, changed }),
    removal,
    blobs: new BlobTable(database),
    references: new ReferenceGraph(database),
    state: new CatalogState(database),
  };
}

function openContent(
  { clock, channels, disk }: Deps,
  { maxSizeBytes, verifyAfterMs = 0 }: FsStoreOptions,
  layout: Layout,
  { accessTimes, blobs, references, removal }: CatalogParts,
  opening: AsyncDisposableStack,
) {
  const queue = new DigestQueue();
  const files = opening.use(new OpenFiles());
  opening.defer(() => queue.idle());
  const ingest = new IngestFolder({ disk, layout, queue, clock });
  const usageBytes = () => blobs.totals().sizeBytes + ingest.bytes;
  const isInUse = (digest: Digest) => files.isOpen(digest) || ingest.isInUse(digest) || queue.isBusy(digest);
  const unlink = (digest: Digest) => content.unlink(digest);
  const evictor: Evictor = opening.use(
    new Evictor(
      { channels, blobs, references, removal, accessTimes, leftovers: ingest, usageBytes, isInUse, unlink },
      { maxSizeBytes },
    ),
  );
  const makeRoom = (needBytes: number) => evictor.makeRoom(needBytes);
  const quarantine = new Quarantine({ disk, layout });
  const ledger = new ProofLedger({ clock }, { verifyAfterMs });
  const condemn = (file: HeldFile, reason: string) => content.condemnFile(file, reason, 'serving');
  const proofs = opening.use(new Proofs({ ledger, condemn }, proofDefaults));
  const content: FsContentStore = new FsContentStore({
    clock,
    channels,
    disk,
    layout,
    blobs,
    queue,
    files,
    ingest,
    ledger,
    proofs,
    quarantine,
    accessTimes,
    makeRoom,
  });
  return { content, ingest, evictor, usageBytes };
}

/** Walks `blobs/` in the background, unless the last use of the store left the catalog complete. */
function startWalk(
  { channels }: Deps,
  layout: Layout,
  state: CatalogState,
  content: FsContentStore,
  opening: AsyncDisposableStack,
): Promise<void> {
  let isComplete = state.get('complete') !== undefined;
  state.clear('complete');
  const abort = new AbortController();
  const walk = async () => {
    if (isComplete) return;
    try {
      isComplete = await adoptStored({ layout, content }, abort.signal);
    } catch (error) {
      channels.notice.publish({ level: 'error', message: 'cannot walk the stored content', error });
    }
  };
  const walking = walk();
  opening.defer(async () => {
    abort.abort();
    await walking;
    if (isComplete) state.set('complete', 'yes');
  });
  return walking;
}

function openScrub(
  { clock, channels }: Deps,
  { scrubBytesPerSecond }: FsStoreOptions,
  { blobs, state }: CatalogParts,
  { content }: ContentParts,
  layout: Layout,
): Scrub {
  const position = { get: () => state.get('scrubbed'), set: (digest: string) => state.set('scrubbed', digest) };
  const walk = (signal: AbortSignal) => adoptStored({ layout, content }, signal);
  return new Scrub(
    { clock, channels, blobs, content, adoptStored: walk, position },
    { bytesPerSecond: scrubBytesPerSecond },
  );
}
