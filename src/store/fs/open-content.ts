import type { ChangeCount } from '../../core/change-count.ts';
import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { formatSize } from '../../core/units.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { ContentHasher } from '../content-hasher.ts';
import { FileIds } from '../file-ids.ts';
import { Condemnation } from './condemnation.ts';
import { DigestQueue } from './digest-queue.ts';
import type { Disk } from './disk.ts';
import { DiskSpace } from './disk-space.ts';
import { Evictor } from './eviction.ts';
import { FsContentStore } from './fs-content-store.ts';
import { IngestFolder } from './ingest-folder.ts';
import { KeptContent } from './kept-content.ts';
import type { Layout } from './layout.ts';
import type { OpenCatalog } from './open-catalog.ts';
import { type HeldFile, OpenFiles } from './open-files.ts';
import type { PinnedContent } from './pinned-content.ts';
import { ProofLedger } from './proof-ledger.ts';
import { Proofs, proofDefaults } from './proofs.ts';
import { Quarantine } from './quarantine.ts';
import { Reservations } from './reservations.ts';
import { RoomKeeper } from './room-keeper.ts';
import type { SteadyBlobs } from './steady-blobs.ts';
import type { StoreHealth } from './store-health.ts';
import { SyncTurn } from './sync-turn.ts';

type CatalogParts = Pick<OpenCatalog, 'accessTimes' | 'blobs' | 'pinned' | 'references' | 'removal' | 'useClock'>;

export interface OpenContentDeps extends CatalogParts {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly changes: ChangeCount;
  readonly disk: Disk;
  readonly hasher: ContentHasher;
  /** `Disk.boot`. */
  readonly boot: string | undefined;
  readonly health: StoreHealth;
}

/** As in `FsStoreOptions`. */
export interface OpenContentOptions {
  readonly maxSizeBytes: number;
  readonly syncEveryBytes?: number;
  readonly verifyAfterMs?: number;
  readonly minFreeBytes?: number;
  readonly maxIdleFiles?: number;
}

export type ContentParts = ReturnType<typeof openContent>;

const syncEveryBytes = 64 * 1024 * 1024;
const maxIdleFiles = 512;

/** The content's parts, on what the catalog knows of it. */
export function openContent(
  deps: OpenContentDeps,
  options: OpenContentOptions,
  layout: Layout,
  opening: AsyncDisposableStack,
) {
  const { boot, clock, channels, disk, hasher, health, accessTimes, blobs, useClock } = deps;
  const { maxSizeBytes, verifyAfterMs = 0 } = options;
  const queue = new DigestQueue();
  const fileIds = new FileIds();
  const leasesLost = () => deps.changes.bump();
  const files = opening.use(new OpenFiles({ fileIds, leasesLost }, { maxIdle: options.maxIdleFiles ?? maxIdleFiles }));
  opening.defer(() => queue.idle());
  const syncTurn = new SyncTurn({ clock });
  opening.defer(() => syncTurn.close());
  const ingest = new IngestFolder({ boot, disk, layout, queue, clock });
  const kept = new KeptContent();
  const held = { files, ingest, kept, queue, unlink: (digest: Digest) => content.unlink(digest) };
  const { reservations, room, space, usageBytes } = openRoom(deps, held, options, layout, opening);
  const quarantine = new Quarantine({ disk, layout });
  const ledger = new ProofLedger({ clock }, { verifyAfterMs });
  const condemnation = new Condemnation({ disk, channels, layout, blobs, queue, files, ledger, quarantine });
  const condemn = (file: HeldFile, reason: string) => condemnation.file(file, reason, 'serving');
  const proofs = opening.use(new Proofs({ hasher, ledger, condemn }, proofDefaults));
  const content: FsContentStore = new FsContentStore({
    clock,
    fileIds,
    useClock,
    channels,
    disk,
    layout,
    blobs,
    queue,
    files,
    ingest,
    fillSafety: { boot, syncTurn, syncEveryBytes: options.syncEveryBytes ?? syncEveryBytes },
    ledger,
    proofs,
    condemnation,
    accessTimes,
    health,
    room,
    reservations,
    kept,
    maxSizeBytes,
  });
  return { condemnation, content, files, ingest, kept, queue, reservations, room, space, usageBytes };
}

interface HeldContent {
  readonly files: OpenFiles;
  readonly ingest: IngestFolder;
  readonly kept: KeptContent;
  readonly queue: DigestQueue;
  readonly unlink: (digest: Digest) => Promise<boolean>;
}

/** Who decides what may come and what leaves for it. */
function openRoom(
  { clock, channels, health, accessTimes, blobs, pinned, references, removal, useClock }: OpenContentDeps,
  { files, ingest, kept, queue, unlink }: HeldContent,
  { maxSizeBytes, minFreeBytes = 0 }: OpenContentOptions,
  layout: Layout,
  opening: AsyncDisposableStack,
) {
  const usageBytes = () => blobs.totals().sizeBytes + ingest.bytes;
  const writtenBytes = (digest: Digest) => ingest.bytesOf(digest);
  const isHeld = (digest: Digest) => ingest.isInUse(digest) || queue.isBusy(digest) || kept.has(digest);
  const isInUse = (digest: Digest) => files.isOpen(digest) || isHeld(digest);
  const letGo = (digest: Digest) => !isHeld(digest) && files.letGo(digest);
  // Between the promise of room and the opening of its file a fill has only the promise.
  const isComing = (digest: Digest) => ingest.isOpen(digest) || reservations.has(digest) || room.isFor(digest);
  const reservations = new Reservations({ clock, writtenBytes });
  const leftovers = {
    // A fill that was promised room goes on with what is left of it.
    oldestLeftover: () => ingest.oldestLeftover((digest) => reservations.has(digest) || room.isFor(digest)),
    removeLeftover: (digest: Digest) => ingest.removeLeftover(digest),
  };
  const evictor: Evictor = opening.use(
    new Evictor({
      channels,
      blobs,
      references,
      removal,
      accessTimes,
      useClock,
      leftovers,
      usageBytes,
      isInUse,
      isComing,
      letGo,
      unlink,
    }),
  );
  const space = new DiskSpace({ clock, usageBytes }, layout.root);
  const evictable = () => evictableBytes({ blobs, pinned, files, kept, ingest });
  const onDiskFull = (free: number, need: number) => health.failed('full', noRoomFor(need, free));
  const room: RoomKeeper = opening.use(
    new RoomKeeper(
      { evictor, space, reservations, usageBytes, writtenBytes, evictableBytes: evictable, onDiskFull },
      { maxSizeBytes, minFreeBytes },
    ),
  );
  return { reservations, room, space, usageBytes };
}

interface Evictable {
  readonly blobs: Pick<SteadyBlobs, 'totals'>;
  readonly pinned: Pick<PinnedContent, 'bytes'>;
  readonly files: OpenFiles;
  readonly kept: Pick<KeptContent, 'bytes'>;
  readonly ingest: IngestFolder;
}

/** What could leave at the very most: not in use, pinned or kept. What is part of an image that is may stay, too. */
function evictableBytes({ blobs, pinned, files, kept, ingest }: Evictable): number {
  let openBytes = 0;
  for (const { sizeBytes } of files.entries()) openBytes += sizeBytes;
  // What is pinned may be open as well, and kept.
  const stays = Math.max(openBytes, pinned.bytes(), kept.bytes);
  return Math.max(0, blobs.totals().sizeBytes - stays) + ingest.leftoverBytes;
}

function noRoomFor(needBytes: number, freeBytes: number): AppError {
  const message = `there is no room for ${formatSize(needBytes)}, of ${formatSize(freeBytes)} that are free`;
  return new AppError('STORAGE_FULL', message);
}
