import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { ContentHash, ContentHasher } from '../content-hasher.ts';
import type { StoredBlob } from '../content-store.ts';
import type { FileIdentity } from './file-identity.ts';
import type { HeldFile } from './open-files.ts';

export interface ProofsDeps {
  readonly hasher: ContentHasher;
  readonly ledger: {
    isProved(digest: Digest, identity: FileIdentity): boolean;
    right(digest: Digest, identity: FileIdentity): void;
  };
  /** Takes the file out of the store. Never rejects. */
  readonly condemn: (file: HeldFile, reason: string) => Promise<void>;
}

export interface ProofsOptions {
  /** Blobs that are hashed at a time. */
  readonly atOnce: number;
  /** Hashed in one go: little enough to give way soon, much enough that asking for it costs nothing beside. */
  readonly chunkBytes: number;
  /** A hashing with no more than this to go is finished, whoever still waits for it. */
  readonly nearlyDoneBytes: number;
}

export const proofDefaults: ProofsOptions = { atOnce: 2, chunkBytes: 4 * 2 ** 20, nearlyDoneBytes: 8 * 2 ** 20 };

interface Hashing {
  /** The hashing's own hold: the descriptor stays while it reads, and the content in use. */
  readonly file: HeldFile;
  readonly hash: ContentHash;
  readonly outcome: PromiseWithResolvers<void>;
  readers: number;
  /** Somebody waits for it and for nothing else. */
  isAwaited: boolean;
  hashedBytes: number;
  /** What was still to hash of others when these were taken before it, so that smaller ones keep no large one waiting for ever. */
  yieldedBytes: number;
}

/**
 * Hashes content that is being served and was not hashed for long, beside its readers: they need to know only at their end.
 *
 * Invariants
 * - One hashing per open file at most (`#hashings`), for all who have it open; one that is listed has not come to its end.
 * - At most `atOnce` run, the others wait (`#queue`, a part of `#hashings`). What somebody waits for goes before what nobody
 *   waits for yet, then what has little to go before what has much; each that waits is the more urgent the more it let pass.
 *   One that runs gives way to a more urgent one at its next chunk, and goes on later where it was.
 * - A hashing holds its file until it has ended, so its descriptor is never closed under a read.
 * - It ends once: right (the ledger knows), wrong (the content has left the store before anybody is told), or cancelled,
 *   when nobody who waits for it is left and much is still to be read. Who opens the same file before it noticed keeps it
 *   going. Whoever waits hears of the end; nobody is no unhandled rejection.
 * - A crash loses verdicts only. `asyncDispose` ends what runs at its next chunk.
 */
export class Proofs implements AsyncDisposable {
  readonly #deps: ProofsDeps;
  readonly #options: ProofsOptions;
  readonly #hashings = new Map<object, Hashing>();
  readonly #queue = new Set<Hashing>();
  /** The most urgent of the queue; undefined where that is empty. */
  #next: Hashing | undefined;
  readonly #running = new Set<Promise<void>>();
  #isStopped = false;

  constructor(deps: ProofsDeps, options: ProofsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** The content as it goes to a reader, who takes over the hold. */
  serve(file: HeldFile): StoredBlob {
    const { digest, sizeBytes, fd, view, identity } = file;
    if (this.#deps.ledger.isProved(digest, identity)) {
      return { digest, sizeBytes, fd, view, proof: undefined, hurry: noHurry, close: file.close };
    }
    const hashing = this.#hashings.get(view) ?? this.#begin(file);
    hashing.readers++;
    if (this.#isStopped) this.#cancel(hashing);
    let isClosed = false;
    const close = () => {
      if (isClosed) return;
      isClosed = true;
      this.#leave(hashing);
      file.close();
    };
    const hurry = () => {
      if (!isClosed) this.#hurry(hashing);
    };
    return { digest, sizeBytes, fd, view, proof: hashing.outcome.promise, hurry, close };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    for (const hashing of this.#queue) this.#cancel(hashing);
    await Promise.all(this.#running);
  }

  #begin(file: HeldFile): Hashing {
    const hashing: Hashing = {
      file: file.again(),
      hash: this.#deps.hasher.begin(file.digest, file.fd),
      outcome: Promise.withResolvers<void>(),
      readers: 0,
      isAwaited: false,
      hashedBytes: 0,
      yieldedBytes: 0,
    };
    // A reader that is gone, or needs no proof for the part that it reads, does not listen.
    hashing.outcome.promise.catch(() => {});
    this.#hashings.set(file.view, hashing);
    this.#enqueue(hashing);
    this.#startNext();
    return hashing;
  }

  #enqueue(hashing: Hashing): void {
    this.#queue.add(hashing);
    if (this.#next === undefined || isBefore(hashing, this.#next)) this.#next = hashing;
  }

  #dequeue(hashing: Hashing): void {
    if (!this.#queue.delete(hashing) || hashing !== this.#next) return;
    this.#next = undefined;
    for (const other of this.#queue) if (this.#next === undefined || isBefore(other, this.#next)) this.#next = other;
  }

  #hurry(hashing: Hashing): void {
    hashing.isAwaited = true;
    if (this.#queue.has(hashing)) this.#enqueue(hashing);
  }

  #leave(hashing: Hashing): void {
    hashing.readers--;
    if (hashing.readers === 0 && this.#queue.has(hashing)) this.#cancel(hashing);
  }

  #cancel(hashing: Hashing): void {
    this.#end(hashing);
    hashing.outcome.reject(new AppError('CANCELLED', 'nobody waited for the proof any more'));
  }

  #end(hashing: Hashing): void {
    this.#dequeue(hashing);
    this.#delist(hashing);
    // Nothing of it is under way any more: who hashes it need not remember how far it came.
    void hashing.hash.end();
    hashing.file.close();
  }

  #delist(hashing: Hashing): void {
    const { view } = hashing.file;
    if (this.#hashings.get(view) === hashing) this.#hashings.delete(view);
  }

  #startNext(): void {
    while (!this.#isStopped && this.#next !== undefined && this.#running.size < this.#options.atOnce) {
      const hashing = this.#next;
      for (const other of this.#queue) if (other !== hashing) other.yieldedBytes += restBytes(hashing);
      this.#dequeue(hashing);
      const running: Promise<void> = this.#run(hashing).finally(() => {
        this.#running.delete(running);
        this.#startNext();
      });
      this.#running.add(running);
    }
  }

  async #run(hashing: Hashing): Promise<void> {
    const { file, outcome } = hashing;
    try {
      const verdict = await this.#hash(hashing);
      if (verdict === 'cancelled' || (verdict === 'interrupted' && this.#isUnwanted(hashing)))
        return this.#cancel(hashing);
      if (verdict === 'interrupted') return this.#enqueue(hashing);
      if (verdict === 'right') {
        await this.#remember(file);
        outcome.resolve();
      } else {
        await this.#deps.condemn(file, verdict.damage);
        outcome.reject(damaged(verdict.damage));
      }
      this.#end(hashing);
    } catch (error) {
      this.#end(hashing);
      outcome.reject(error);
    }
  }

  async #hash(hashing: Hashing): Promise<'right' | 'cancelled' | 'interrupted' | { readonly damage: string }> {
    const { hash } = hashing;
    const { digest, sizeBytes } = hashing.file;
    try {
      while (restBytes(hashing) > this.#options.chunkBytes) {
        const to = hashing.hashedBytes + this.#options.chunkBytes;
        await hash.advance(to);
        hashing.hashedBytes = to;
        const stop = this.#whyStop(hashing);
        // From this very tick on: who comes now begins another.
        if (stop === 'cancelled') this.#delist(hashing);
        if (stop !== undefined) return stop;
      }
      const found = await hash.finish(sizeBytes);
      hashing.hashedBytes = sizeBytes;
      return found === digest ? 'right' : { damage: 'its hash is another' };
    } catch (error) {
      if (error instanceof AppError && error.code === 'STORAGE_FAILED') return { damage: error.message };
      throw error;
    }
  }

  #whyStop(hashing: Hashing): 'cancelled' | 'interrupted' | undefined {
    if (restBytes(hashing) === 0) return undefined;
    if (this.#isUnwanted(hashing)) return 'cancelled';
    return this.#next !== undefined && mayInterrupt(this.#next, hashing) ? 'interrupted' : undefined;
  }

  #isUnwanted(hashing: Hashing): boolean {
    return this.#isStopped || (hashing.readers === 0 && restBytes(hashing) > this.#options.nearlyDoneBytes);
  }

  /** What was written to meanwhile may be another by now: right for who read it so far, not for who comes later. */
  async #remember(file: HeldFile): Promise<void> {
    const identity = await file.identify().catch(() => undefined);
    if (identity === file.identity) this.#deps.ledger.right(file.digest, identity);
  }
}

function noHurry(): void {}

function restBytes({ file, hashedBytes }: Hashing): number {
  return file.sizeBytes - hashedBytes;
}

function isBefore(one: Hashing, other: Hashing): boolean {
  if (one.isAwaited !== other.isAwaited) return one.isAwaited;
  return restBytes(one) - one.yieldedBytes < restBytes(other) - other.yieldedBytes;
}

/** One that was interrupted is the next one as soon as it has let enough pass: then it gets on a chunk at a time at least. */
function mayInterrupt(one: Hashing, running: Hashing): boolean {
  if (one.isAwaited !== running.isAwaited) return one.isAwaited;
  return restBytes(one) < restBytes(running);
}

function damaged(reason: string): AppError {
  return new AppError('STORAGE_FAILED', `the content was damaged on disk (${reason}); it will be fetched again`);
}
