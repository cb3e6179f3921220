import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { BlobRow } from './catalog-blobs.ts';
import { type EvictionGoals, planUnit, type References } from './eviction-policy.ts';
import { foreseen } from './storage-error.ts';
import type { UseClock } from './use-clock.ts';

export interface EvictionDeps {
  readonly channels: Channels;
  readonly blobs: {
    find(digest: Digest): BlobRow | undefined;
    roots(after: BlobRow | undefined, limit: number): BlobRow[];
    strays(after: BlobRow | undefined, usedBeforeMs: number, limit: number): BlobRow[];
  };
  readonly references: References;
  readonly removal: { remove(digests: readonly Digest[]): void };
  readonly accessTimes: { flush(): void };
  readonly useClock: Pick<UseClock, 'now'>;
  readonly leftovers: {
    oldestLeftover(): Digest | undefined;
    removeLeftover(digest: Digest): Promise<number>;
  };
  /** What the store takes of the disk: committed content, open fills and leftovers. */
  readonly usageBytes: () => number;
  /** Whether the content is open, being filled, or about to be: it may not leave now. */
  readonly isInUse: (digest: Digest) => boolean;
  /** Whether it is being filled, or has been promised the room for that. */
  readonly isComing: (digest: Digest) => boolean;
  /** Sees to it that nobody begins to use it without asking, before the tick ends; says whether nobody uses it. */
  readonly letGo: (digest: Digest) => boolean;
  /** Removes the file, in the digest's turn; says whether it is gone. Called in the tick in which it was let go. */
  readonly unlink: (digest: Digest) => Promise<boolean>;
}

const rootsAtOnce = 32;
/** So long after its last use content without a manifest may be about to get one: it is kept before it is recorded. */
const strayAfterMs = 60_000;

type Slice = (after: BlobRow | undefined, limit: number) => BlobRow[];

interface Tally {
  blobs: number;
  bytes: number;
}

/**
 * Lets content leave: what no manifest references, so that no image would miss it, and nobody could name it, then what was not
 * used for longest.
 *
 * Invariants: one eviction runs at a time. A unit (a root and what only it references) is chosen, taken out of the
 * catalog and queued for unlinking in one tick, after looking at what is in use; so whoever asks for one of its digests
 * later comes after the unlink and finds a miss, and whoever asked before keeps it. Gateways that read what they have a lease
 * on come at any moment: in that tick all of the unit is let go, or none of it leaves. A crash in between leaves files
 * without a row, which the next start's walk finds. Only `isInUse`, pins and references protect content; recency is
 * the order. An image of which something is coming stays whole, else its layers would arrive with nothing to name them. There is nothing to cancel: units are small, and a caller need not wait.
 */
export class Evictor implements AsyncDisposable {
  readonly #deps: EvictionDeps;
  #running: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(deps: EvictionDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves once the store takes no more than the goals say, or nothing else may leave; with whether the disk and the
   * catalog let go what should leave. Never rejects.
   */
  evict(goals: EvictionGoals): Promise<boolean> {
    const evicted = this.#running.then(() => this.#isStopped || this.#evict(goals));
    this.#running = evicted;
    return evicted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #evict(goals: EvictionGoals): Promise<boolean> {
    const tally: Tally = { blobs: 0, bytes: 0 };
    try {
      await this.#evictLeftovers(goals.wantedBytes, tally);
      await this.#evictStrays(goals.wantedBytes, tally);
      await this.#evictRoots(goals.wantedBytes, tally, false);
      await this.#evictRoots(goals.neededBytes, tally, true);
      return true;
    } catch (thrown) {
      const error = foreseen(thrown, 'make room');
      this.#deps.channels.notice.publish({ level: 'error', message: 'eviction failed', error });
      return false;
    } finally {
      const sizeAfterBytes = this.#deps.usageBytes();
      if (tally.bytes > 0 || tally.blobs > 0) this.#deps.channels.eviction.publish({ ...tally, sizeAfterBytes });
    }
  }

  /** Partial files of no open fill: worth less than anything complete. */
  async #evictLeftovers(goalBytes: number, tally: Tally): Promise<void> {
    while (!this.#isDone(goalBytes)) {
      const digest = this.#deps.leftovers.oldestLeftover();
      if (digest === undefined) return;
      tally.bytes += await this.#deps.leftovers.removeLeftover(digest);
    }
  }

  #evictStrays(goalBytes: number, tally: Tally): Promise<void> {
    const { blobs, useClock } = this.#deps;
    const usedBeforeMs = useClock.now() - strayAfterMs;
    return this.#evictSlices((after, limit) => blobs.strays(after, usedBeforeMs, limit), goalBytes, tally, false);
  }

  #evictRoots(goalBytes: number, tally: Tally, evenPartlyUsed: boolean): Promise<void> {
    const { blobs } = this.#deps;
    return this.#evictSlices((after, limit) => blobs.roots(after, limit), goalBytes, tally, evenPartlyUsed);
  }

  async #evictSlices(slice: Slice, goalBytes: number, tally: Tally, evenPartlyUsed: boolean): Promise<void> {
    let after: BlobRow | undefined;
    while (!this.#isDone(goalBytes)) {
      this.#deps.accessTimes.flush();
      const roots = slice(after, rootsAtOnce);
      after = roots.at(-1);
      if (after === undefined) return;
      for (const root of roots) {
        if (this.#isDone(goalBytes)) return;
        await this.#evictUnit(root, tally, evenPartlyUsed);
      }
    }
  }

  async #evictUnit(root: BlobRow, tally: Tally, evenPartlyUsed: boolean): Promise<void> {
    const { accessTimes, blobs, references, removal, isComing, isInUse, letGo, unlink } = this.#deps;
    // It was read some ticks ago: since then it may have been used, referenced, pinned, or have gone.
    accessTimes.flush();
    const now = blobs.find(root.digest);
    if (now === undefined || now.parents > 0 || now.isPinned || now.accessedAtMs !== root.accessedAtMs) return;
    if (isInUse(root.digest) || isComing(root.digest)) return;
    const mayLeave = (digest: Digest) => !isInUse(digest) && blobs.find(digest)?.isPinned !== true;
    const { leaves, stays, parts } = planUnit(root.digest, references, mayLeave);
    if (parts.some(isComing)) return;
    if (!evenPartlyUsed && stays.some(isInUse)) return;
    // One that was begun to be read since is recent after all.
    if (!leaves.every(letGo)) return;
    const stored = leaves.map((digest) => blobs.find(digest)).filter((row) => row !== undefined);
    removal.remove(leaves);
    tally.blobs += stored.length;
    tally.bytes += stored.reduce((sum, row) => sum + row.sizeBytes, 0);
    const gone = await Promise.all(stored.map((row) => unlink(row.digest)));
    // A disk that lets nothing go would see the whole catalog leave in vain.
    if (gone.includes(false)) throw new AppError('STORAGE_FAILED', 'the disk keeps what should leave');
  }

  #isDone(goalBytes: number): boolean {
    return this.#isStopped || this.#deps.usageBytes() <= goalBytes;
  }
}
