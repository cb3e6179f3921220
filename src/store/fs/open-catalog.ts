import type { ChangeCount } from '../../core/change-count.ts';
import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import type { Reference } from '../../core/reference.ts';
import type { Scope } from '../../core/scope.ts';
import type { Channels } from '../../telemetry/channels.ts';
import { AccessTimes } from './catalog-access-times.ts';
import { CatalogBacklog } from './catalog-backlog.ts';
import { BlobTable } from './catalog-blobs.ts';
import { memoryCatalogDatabase, openCatalogDatabase } from './catalog-database.ts';
import { ReferenceGraph } from './catalog-graph.ts';
import { CatalogIndex } from './catalog-index.ts';
import { CatalogRemoval } from './catalog-removal.ts';
import { SqliteCatalog } from './catalog-sqlite.ts';
import { CatalogState } from './catalog-state.ts';
import { CatalogTidy } from './catalog-tidy.ts';
import type { Disk } from './disk.ts';
import { ImageList } from './image-list.ts';
import { ImageNames } from './image-names.ts';
import { ImageTable } from './image-table.ts';
import { IndexWriter } from './index-writer.ts';
import type { Layout } from './layout.ts';
import { PinnedContent } from './pinned-content.ts';
import { SteadyBlobs } from './steady-blobs.ts';
import { SteadyCatalog } from './steady-catalog.ts';
import type { StoreHealth } from './store-health.ts';
import { UseClock } from './use-clock.ts';

export interface OpenCatalogDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly changes: ChangeCount;
  readonly disk: Disk;
  readonly health: StoreHealth;
}

export type OpenCatalog = Awaited<ReturnType<typeof openCatalog>>;

/** In memory: where there is no room for it on disk. */
export type CatalogPlace = 'on-disk' | 'in-memory';

/** The catalog's parts on one connection. What it cannot be told while the store is in use waits in the backlog. */
export async function openCatalog(
  deps: OpenCatalogDeps,
  layout: Layout,
  place: CatalogPlace,
  opening: AsyncDisposableStack,
) {
  const { clock, channels, changes, disk, health } = deps;
  const onLoss = () => changes.bump();
  const onTrouble = (error: unknown) => health.failed('catalog', error);
  const open = place === 'on-disk' ? openCatalogDatabase : memoryCatalogDatabase;
  const database = opening.use(await open({ clock, channels, onTrouble, onLoss }, layout.catalog));
  const source = new CatalogIndex(database);
  const index = opening.use(new IndexWriter({ clock, health, disk, source }, layout.index, layout.indexDraft));
  const changed = () => index.changed();
  const removal = new CatalogRemoval({ database, changed });
  const tidy = new CatalogTidy({ clock, database, removal });
  const useClock = new UseClock({ clock, database });
  const accessTimes = opening.use(new AccessTimes({ clock, useClock, database }, () => tidy.step()));
  const table = new BlobTable(database);
  const catalog = new SqliteCatalog({ clock, database, accessTimes, changed });
  const backlog = new CatalogBacklog({ clock, database, health, onLoss });
  opening.defer(() => backlog.read(() => backlog.drain(), undefined));
  const blobs = new SteadyBlobs({ table, backlog });
  const references = new ReferenceGraph(database);
  const pinned = opening.use(new PinnedContent({ clock, blobs, references }));
  const [imageTable, imageNames] = [new ImageTable(database), new ImageNames(database)];
  const pin = (scope: Scope, reference: Reference) => {
    const scopeId = imageTable.scopeId(scope);
    if (scopeId !== undefined) imageNames.setPinned(scopeId, reference, true);
  };
  // A file's time may be one that the clock has left since.
  const addOfNow = (digest: Digest, sizeBytes: number, atMs: number) =>
    table.add(digest, sizeBytes, Math.min(atMs, useClock.now()));
  return {
    accessTimes,
    useClock,
    backlog,
    blobs,
    catalog: new SteadyCatalog({ catalog, backlog }),
    index,
    references,
    pinned,
    imageTable,
    imageNames,
    imageList: opening.use(new ImageList({ clock, table: imageTable })),
    indexChanged: changed,
    /** For what is to happen at once or fail: nothing of it waits in the backlog. */
    now: { removal, transaction: <T>(work: () => T) => database.transaction(work) },
    removal: { remove: (digests: readonly Digest[]) => blobs.removeBy(digests, () => removal.remove(digests)) },
    state: new CatalogState(database),
    /** What has to be there before the store is used: a failure is the caller's. */
    atStart: { catalog, pin, blobs: { add: addOfNow }, transaction: <T>(work: () => T) => database.transaction(work) },
  };
}
