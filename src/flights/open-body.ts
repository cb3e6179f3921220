import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { formatSize } from '../core/units.ts';
import type { ContentHasher } from '../store/content-hasher.ts';
import type { ContentStore, Room, StoredBlob } from '../store/content-store.ts';
import { FillBody } from './fill-body.ts';
import { committedFill, type FillStorage, memoryFill, partialFill } from './fill-storage.ts';
import type { SmallBlobMemory } from './small-blob-memory.ts';

export interface OpenBodyDeps {
  readonly store: ContentStore;
  readonly hasher: ContentHasher;
  /** For the small blobs of all flights. Left out: it has no bound but that of flights. */
  readonly memory?: SmallBlobMemory | undefined;
}

export interface OpenBodyOptions {
  /** So many bytes at the end of a body are held back until it is verified. */
  readonly holdBackBytes: number;
  /** Blobs up to this size are filled in memory, while there is some. */
  readonly smallBlobBytes: number;
  /** Blobs up to this size are hashed as their bytes come, others by the hasher, behind them. */
  readonly hashDirectlyBytes: number;
  /** What the hasher is told of in one go, at least: so much is still to be hashed when the last byte comes, at most. */
  readonly hashStepBytes: number;
}

/**
 * The body that a flight goes on with: the content itself where the store has it by now, else what an earlier fill left, else
 * an empty one. `sizeBytes` is what is known of the size beforehand: what a fill that failed believed of it counts for
 * nothing, since no digest ever proved it. Rejects with STORAGE_FAILED, or with STORAGE_FULL; their detail `reason` is the
 * store's word (`Room`) where there was no room before anything was fetched.
 */
export async function openBody(
  { store, hasher, memory }: OpenBodyDeps,
  digest: Digest,
  sizeBytes: number | undefined,
  options: OpenBodyOptions,
): Promise<FillBody> {
  // Another flight may have ended between the caller's look into the store and now: never fetch twice (P1).
  const stored = await proven(await store.open(digest));
  if (stored !== undefined) {
    const facts = { digest, sizeBytes: stored.sizeBytes, holdBackBytes: 0, verified: true };
    return new FillBody(committedFill(stored), facts);
  }
  const storage = await openStorage({ store, memory }, digest, sizeBytes, options);
  const { holdBackBytes, hashDirectlyBytes, hashStepBytes } = options;
  return new FillBody(storage, { digest, sizeBytes, holdBackBytes, hasher, hashDirectlyBytes, hashStepBytes });
}

/** What a flight finds is served as it is: so it has to be right first. */
async function proven(stored: StoredBlob | undefined): Promise<StoredBlob | undefined> {
  try {
    stored?.hurry();
    await stored?.proof;
    return stored;
  } catch {
    // It has left the store.
    stored?.close();
    return undefined;
  }
}

async function openStorage(
  { store, memory }: Pick<OpenBodyDeps, 'store' | 'memory'>,
  digest: Digest,
  sizeBytes: number | undefined,
  { smallBlobBytes }: OpenBodyOptions,
): Promise<FillStorage> {
  if (sizeBytes === undefined) return openPartial(store, digest, sizeBytes);
  if (sizeBytes <= smallBlobBytes) {
    if (memory === undefined) return memoryFill(store, digest, sizeBytes);
    const letGo = memory.take(sizeBytes);
    if (letGo !== undefined) return memoryFill(store, digest, sizeBytes, letGo);
  }
  const room = await store.makeRoom(sizeBytes, digest);
  if (room !== 'enough') throw noRoom(room, sizeBytes);
  return openPartial(store, digest, sizeBytes);
}

function noRoom(reason: Exclude<Room, 'enough'>, sizeBytes: number): AppError {
  const size = formatSize(sizeBytes);
  const messages = {
    'too-large': `${size} are more than the cache may hold`,
    'disk-full': `the disk has no ${size} to spare`,
    'cache-in-use': `all that could leave the cache for ${size} is in use`,
    'disk-failed': `the disk lets nothing go for ${size}`,
  };
  const code = reason === 'disk-failed' ? 'STORAGE_FAILED' : 'STORAGE_FULL';
  return new AppError(code, messages[reason], { details: { reason } });
}

/** The partial file, emptied first where more was left in it than the blob has. */
async function openPartial(store: ContentStore, digest: Digest, sizeBytes: number | undefined): Promise<FillStorage> {
  const partial = await store.openPartial(digest);
  const end = partial.resumed.filled.at(-1)?.end ?? 0;
  if (sizeBytes === undefined || end <= sizeBytes) return partialFill(partial);
  await partial.discard();
  await partial.close();
  return partialFill(await store.openPartial(digest));
}
