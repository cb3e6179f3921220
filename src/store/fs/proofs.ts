import { type Digest, DigestVerifier } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { StoredBlob } from '../content-store.ts';
import type { FileIdentity } from './file-identity.ts';
import { readFully } from './file-io.ts';
import type { HeldFile } from './open-files.ts';

export interface ProofsDeps {
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
  /** Read and hashed in one go: small enough for the event loop, large enough for the disk. */
  readonly chunkBytes: number;
  /** A hashing with no more than this to go is finished, whoever still waits for it. */
  readonly nearlyDoneBytes: number;
}

export const proofDefaults: ProofsOptions = { atOnce: 2, chunkBytes: 256 * 1024, nearlyDoneBytes: 8 * 2 ** 20 };

interface Hashing {
  /** The hashing's own hold: the descriptor stays while it reads, and the content in use. */
  readonly file: HeldFile;
  readonly outcome: PromiseWithResolvers<void>;
  readers: number;
}

/**
 * Hashes content that is being served and was not hashed for long, beside its readers: they need to know only at their end.
 *
 * Invariants
 * - One hashing per open file at most (`#hashings`), for all who have it open; one that is listed has not come to its end.
 * - At most `atOnce` run, the others wait in the order in which they were asked for (`#queue`, a part of `#hashings`).
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
  readonly #running = new Set<Promise<void>>();
  #isStopped = false;

  constructor(deps: ProofsDeps, options: ProofsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** The content as it goes to a reader, who takes over the hold. */
  serve(file: HeldFile): StoredBlob {
    const { digest, sizeBytes, fd, identity } = file;
    if (this.#deps.ledger.isProved(digest, identity)) {
      return { digest, sizeBytes, fd, proof: undefined, close: () => file.close() };
    }
    const hashing = this.#hashings.get(file.openFile) ?? this.#begin(file);
    hashing.readers++;
    if (this.#isStopped) this.#cancel(hashing);
    let isClosed = false;
    const close = () => {
      if (isClosed) return;
      isClosed = true;
      this.#leave(hashing);
      file.close();
    };
    return { digest, sizeBytes, fd, proof: hashing.outcome.promise, close };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    for (const hashing of this.#queue) this.#cancel(hashing);
    await Promise.all(this.#running);
  }

  #begin(file: HeldFile): Hashing {
    const hashing = { file: file.again(), outcome: Promise.withResolvers<void>(), readers: 0 };
    // A reader that is gone, or needs no proof for the part that it reads, does not listen.
    hashing.outcome.promise.catch(() => {});
    this.#hashings.set(file.openFile, hashing);
    this.#queue.add(hashing);
    this.#startNext();
    return hashing;
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
    this.#queue.delete(hashing);
    this.#delist(hashing);
    hashing.file.close();
  }

  #delist(hashing: Hashing): void {
    const { openFile } = hashing.file;
    if (this.#hashings.get(openFile) === hashing) this.#hashings.delete(openFile);
  }

  #startNext(): void {
    if (this.#isStopped) return;
    for (const hashing of this.#queue) {
      if (this.#running.size >= this.#options.atOnce) return;
      this.#queue.delete(hashing);
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
      if (verdict === 'cancelled') return this.#cancel(hashing);
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

  /** While the bytes of one chunk are hashed, those of the next are read. */
  async #hash(hashing: Hashing): Promise<'right' | 'cancelled' | { readonly damage: string }> {
    const { file } = hashing;
    const { digest, fd, sizeBytes } = file;
    const verifier = new DigestVerifier(digest);
    const buffers = [0, 1].map(() => Buffer.allocUnsafe(Math.min(this.#options.chunkBytes, sizeBytes)));
    const [even, odd] = buffers as [Buffer, Buffer];
    const readAt = (buffer: Buffer, position: number) => {
      const chunk = buffer.subarray(0, Math.min(buffer.length, sizeBytes - position));
      return readFully(fd, chunk, position).then(
        (bytes) => (bytes === chunk.length ? chunk : ('it is shorter than it was' as const)),
        () => 'it cannot be read' as const,
      );
    };
    let reading = readAt(even, 0);
    for (let position = 0, isEven = true; position < sizeBytes; isEven = !isEven) {
      const chunk = await reading;
      if (typeof chunk === 'string') return { damage: chunk };
      position += chunk.length;
      if (position < sizeBytes) reading = readAt(isEven ? odd : even, position);
      verifier.update(chunk);
      if (this.#isUnwanted(hashing, sizeBytes - position)) {
        // From this very tick on: who comes while the last read ends begins another.
        this.#delist(hashing);
        await reading;
        return 'cancelled';
      }
    }
    return verifier.finish() === digest ? 'right' : { damage: 'its hash is another' };
  }

  #isUnwanted({ readers }: Hashing, restBytes: number): boolean {
    if (restBytes === 0) return false;
    return this.#isStopped || (readers === 0 && restBytes > this.#options.nearlyDoneBytes);
  }

  /** What was written to meanwhile may be another by now: right for who read it so far, not for who comes later. */
  async #remember(file: HeldFile): Promise<void> {
    const identity = await file.identify().catch(() => undefined);
    if (identity === file.identity) this.#deps.ledger.right(file.digest, identity);
  }
}

function damaged(reason: string): AppError {
  return new AppError('STORAGE_FAILED', `the content was damaged on disk (${reason}); it will be fetched again`);
}
