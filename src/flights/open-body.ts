import type { Digest } from '../core/digest.ts';
import type { ContentStore } from '../store/content-store.ts';
import { FillBody } from './fill-body.ts';
import { committedFill, type FillStorage, memoryFill, partialFill } from './fill-storage.ts';

export interface OpenBodyOptions {
  /** So many bytes at the end of a body are held back until it is verified. */
  readonly holdBackBytes: number;
  /** Blobs up to this size are filled in memory. */
  readonly smallBlobBytes: number;
}

/**
 * The body that a flight goes on with: the content itself where the store has it by now, else what an earlier fill left, else
 * an empty one. `sizeBytes` is what is known of the size beforehand. Rejects with STORAGE_FULL or STORAGE_FAILED.
 */
export async function openBody(
  store: ContentStore,
  digest: Digest,
  sizeBytes: number | undefined,
  options: OpenBodyOptions,
): Promise<FillBody> {
  // Another flight may have ended between the caller's look into the store and now: never fetch twice (P1).
  const stored = await store.open(digest);
  if (stored !== undefined) {
    const facts = { digest, sizeBytes: stored.sizeBytes, holdBackBytes: 0, verified: true };
    return new FillBody(committedFill(stored), facts);
  }
  const storage = await openStorage(store, digest, sizeBytes, options);
  const { holdBackBytes } = options;
  return new FillBody(storage, { digest, sizeBytes: sizeBytes ?? storage.resumed.sizeBytes, holdBackBytes });
}

async function openStorage(
  store: ContentStore,
  digest: Digest,
  sizeBytes: number | undefined,
  { smallBlobBytes }: OpenBodyOptions,
): Promise<FillStorage> {
  if (sizeBytes === undefined) return openPartial(store, digest, sizeBytes);
  if (sizeBytes <= smallBlobBytes) return memoryFill(store, digest, sizeBytes);
  await store.makeRoom(sizeBytes);
  return openPartial(store, digest, sizeBytes);
}

/** The partial file, emptied first where it was left by a fill of another size. */
async function openPartial(store: ContentStore, digest: Digest, sizeBytes: number | undefined): Promise<FillStorage> {
  const partial = await store.openPartial(digest);
  const left = partial.resumed;
  const end = left.filled.at(-1)?.end ?? 0;
  const fits = sizeBytes === undefined || (end <= sizeBytes && (left.sizeBytes ?? sizeBytes) === sizeBytes);
  if (fits) return partialFill(partial);
  await partial.discard();
  await partial.close();
  return partialFill(await store.openPartial(digest));
}
