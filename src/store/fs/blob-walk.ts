import { opendir } from 'node:fs/promises';
import { type Digest, parseDigest } from '../../core/digest.ts';
import { digestAlgorithms, type Layout } from './layout.ts';

/** Every digest that has a file in `blobs/`, in no order. Reads the folders as it goes, however large they are. */
export async function* storedDigests(layout: Layout): AsyncGenerator<Digest> {
  for (const algorithm of digestAlgorithms) {
    for await (const entry of await opendir(layout.blobFolder(algorithm), { bufferSize: 256 })) {
      const digest = parseDigest(`${algorithm}:${entry.name}`);
      if (digest !== undefined) yield digest;
    }
  }
}

export interface BlobWalkDeps {
  readonly layout: Layout;
  readonly content: { adopt(digest: Digest): Promise<number | undefined> };
}

/** Gives every file in `blobs/` its row, while the store is in use. Stops when `signal` aborts; says whether it got through. */
export async function adoptStored({ layout, content }: BlobWalkDeps, signal: AbortSignal): Promise<boolean> {
  for await (const digest of storedDigests(layout)) {
    if (signal.aborted) return false;
    await content.adopt(digest);
  }
  return true;
}
