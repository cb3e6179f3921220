import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import type { ContentHash } from '../store/content-hasher.ts';
import type { FillStorage } from './fill-storage.ts';
import type { HashedBody, PrefixHash } from './prefix-hash.ts';

/**
 * Has bytes hashed elsewhere, from the file that they were written to.
 *
 * Invariants: one call of the hash is under way at most, and covers all that the prefix has reached by then. It is told of
 * `stepBytes` at least, or of the end: so it is that much behind at most when the last bytes come, and is not woken for each
 * write. The storage is held as long as a call is under way. The call
 * that reaches the end of the whole finishes the hash: then there is none any more.
 */
export class FollowingHash implements PrefixHash {
  readonly #storage: FillStorage;
  readonly #body: HashedBody;
  readonly #hash: ContentHash;
  readonly #stepBytes: number;
  #hashedTo = 0;
  #isFollowing = false;
  #follows: Promise<void> = Promise.resolve();
  #ended = false;
  #outcome: PromiseWithResolvers<Digest> | undefined;
  #finished: Digest | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(storage: FillStorage, body: HashedBody, hash: ContentHash, stepBytes: number) {
    this.#storage = storage;
    this.#body = body;
    this.#hash = hash;
    this.#stepBytes = Math.max(1, stepBytes);
    this.#follow();
  }

  wrote(): void {
    this.#follow();
  }

  digest(): Promise<Digest> {
    this.#outcome ??= Promise.withResolvers();
    this.#follow();
    this.#settle();
    return this.#outcome.promise;
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#hash.end();
    await this.#follows;
  }

  get #prefixEnd(): number {
    return this.#body.filled.endFrom(0);
  }

  /** Whether there is more to hash, or to finish. */
  get #isBehind(): boolean {
    if (this.#ended || this.#failure !== undefined || this.#finished !== undefined) return false;
    const end = this.#prefixEnd;
    return end - this.#hashedTo >= this.#stepBytes || end === this.#body.sizeBytes;
  }

  #follow(): void {
    if (this.#isFollowing || !this.#isBehind) return;
    this.#isFollowing = true;
    this.#follows = this.#run()
      .catch((error) => {
        this.#failure = { error: readingFailed(error) };
      })
      .then(() => {
        this.#isFollowing = false;
        // Bytes may have come after its last look.
        this.#follow();
        this.#settle();
      });
  }

  async #run(): Promise<void> {
    const release = this.#storage.hold();
    try {
      while (this.#isBehind) {
        const end = this.#prefixEnd;
        if (end === this.#body.sizeBytes) this.#finished = await this.#hash.finish(end);
        else await this.#hash.advance(end);
        this.#hashedTo = end;
      }
    } finally {
      release();
    }
  }

  #settle(): void {
    if (this.#finished !== undefined) this.#outcome?.resolve(this.#finished);
    else if (this.#failure !== undefined) this.#outcome?.reject(this.#failure.error);
  }
}

/** As clients and logs are told. */
function readingFailed(cause: unknown): unknown {
  if (!(cause instanceof AppError) || cause.code !== 'STORAGE_FAILED') return cause;
  return new AppError('STORAGE_FAILED', `cannot read back a fill: ${cause.message}`, { cause });
}
