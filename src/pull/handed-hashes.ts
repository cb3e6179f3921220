import type { Interval } from '../core/byte-range.ts';
import { type Digest, DigestVerifier } from '../core/digest.ts';
import { readAt } from '../flights/read-at.ts';
import type { BlobStorage } from './depot.ts';

type ReadableStorage = Exclude<BlobStorage, { kind: 'window' }>;

interface Checkpoint {
  readonly offset: number;
  readonly hash: DigestVerifier;
}

const blockBytes = 256 * 1024;
const checkpointEveryBytes = 64 * 1024 * 1024;

/**
 * Hashes what responses have handed out, from where they read it: for those that have to go on from elsewhere.
 *
 * Invariants: when a fill fails, or a file cannot be read, all who follow it come at once, each at another offset; they take
 * turns, and who comes later goes on from the nearest offset that is hashed already, so that the file is read about once.
 * Whoever asks keeps the storage open until it is answered; whose signal aborts is read for no more. What was hashed is
 * forgotten with the storage.
 */
export class HandedHashes {
  readonly #prefixes = new WeakMap<ReadableStorage, { turn: Promise<unknown>; readonly checkpoints: Checkpoint[] }>();

  /** The hash over a range. Rejects with STORAGE_FAILED where that cannot be read any more, or with the signal's reason. */
  over(
    storage: ReadableStorage,
    digest: Digest,
    { start, end }: Interval,
    signal: AbortSignal,
  ): Promise<DigestVerifier> {
    if (start > 0) return this.#hash(storage, { offset: start, hash: new DigestVerifier(digest) }, end, [], signal);
    const known = this.#prefixes.get(storage) ?? { turn: Promise.resolve(), checkpoints: [] };
    this.#prefixes.set(storage, known);
    const hashed = known.turn.then(() => {
      const from = known.checkpoints.findLast(({ offset }) => offset <= end);
      const begin = from ?? { offset: 0, hash: new DigestVerifier(digest) };
      return this.#hash(storage, begin, end, known.checkpoints, signal);
    });
    known.turn = hashed.catch(() => {});
    return hashed;
  }

  async #hash(
    storage: ReadableStorage,
    from: Checkpoint,
    end: number,
    checkpoints: Checkpoint[],
    signal: AbortSignal,
  ): Promise<DigestVerifier> {
    const hash = from.hash.copy();
    const buffer = Buffer.allocUnsafe(Math.min(blockBytes, end - from.offset));
    let lastKept = from.offset;
    for (let offset = from.offset; offset < end; ) {
      if (signal.aborted) keep(checkpoints, { offset, hash: hash.copy() });
      signal.throwIfAborted();
      const block = buffer.subarray(0, Math.min(buffer.length, end - offset));
      await readAt(storage, block, offset);
      hash.update(block);
      offset += block.length;
      if (offset - lastKept >= checkpointEveryBytes || offset === end) {
        keep(checkpoints, { offset, hash: hash.copy() });
        lastKept = offset;
      }
    }
    return hash;
  }
}

/** In order of their offsets. */
function keep(checkpoints: Checkpoint[], checkpoint: Checkpoint): void {
  const after = checkpoints.findIndex(({ offset }) => offset >= checkpoint.offset);
  if (after < 0) checkpoints.push(checkpoint);
  else if (checkpoints[after]?.offset !== checkpoint.offset) checkpoints.splice(after, 0, checkpoint);
}
