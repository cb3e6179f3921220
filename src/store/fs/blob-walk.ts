import { opendir } from 'node:fs/promises';
import { type Clock, sleep } from '../../core/clock.ts';
import { type Digest, parseDigest } from '../../core/digest.ts';
import { digestAlgorithms, type Layout } from './layout.ts';

/** What is looked at in one turn of the event loop: well under a millisecond, however large the catalog is. */
const digestsAtOnce = 128;
/** Never so long that a slow moment stops the walk. */
const mostRestMs = 1000;

/** Every digest that has a file in `blobs/`, in no order, some at a time. Reads the folders as it goes, however large they are. */
export async function* storedDigests(layout: Layout): AsyncGenerator<Digest[]> {
  for (const algorithm of digestAlgorithms) {
    let digests: Digest[] = [];
    for await (const entry of await opendir(layout.blobFolder(algorithm), { bufferSize: digestsAtOnce })) {
      const digest = parseDigest(`${algorithm}:${entry.name}`);
      if (digest !== undefined) digests.push(digest);
      if (digests.length < digestsAtOnce) continue;
      yield digests;
      digests = [];
    }
    yield digests;
  }
}

export interface BlobWalkDeps {
  readonly clock: Clock;
  readonly layout: Layout;
  /** What the catalog knows: a file with a row costs one look at it, and no turn of its own. */
  readonly blobs: { find(digest: Digest): unknown };
  readonly content: { adopt(digest: Digest): Promise<number | undefined> };
}

export interface BlobWalkOptions {
  /** How much of the time it may take, from 0 to 1: clients are served meanwhile. */
  readonly share: number;
}

/** Gives every file in `blobs/` its row, while the store is in use. Stops when `signal` aborts; says whether it got through. */
export async function adoptStored(
  { clock, layout, blobs, content }: BlobWalkDeps,
  { share }: BlobWalkOptions,
  signal: AbortSignal,
): Promise<boolean> {
  let startedMs = clock.monotonic();
  for await (const digests of storedDigests(layout)) {
    for (const digest of digests) {
      if (signal.aborted) return false;
      if (blobs.find(digest) === undefined) await content.adopt(digest);
    }
    const restMs = (clock.monotonic() - startedMs) * (1 / share - 1);
    if (restMs > 0) await sleep(clock, Math.min(mostRestMs, restMs), signal).catch(() => {});
    startedMs = clock.monotonic();
  }
  return !signal.aborted;
}
