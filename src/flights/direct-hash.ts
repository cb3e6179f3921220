import { type BytePieces, piecesLength, piecesOf } from '../core/byte-pieces.ts';
import { type Digest, DigestVerifier } from '../core/digest.ts';
import type { FillStorage } from './fill-storage.ts';
import type { HashedBody, PrefixHash } from './prefix-hash.ts';
import { readAt } from './read-at.ts';

/**
 * Hashes bytes on their way, in this thread: for small bodies, which are hashed by the time another thread has heard of them.
 *
 * Invariants: it has gone over exactly [0, `#hashedTo`), each byte once. What is written in order is hashed as it is written;
 * what the prefix has reached but was written out of order, or by an earlier process, is read back, one block at a time.
 */
export class DirectHash implements PrefixHash {
  readonly #storage: FillStorage;
  readonly #body: HashedBody;
  readonly #verifier: DigestVerifier;
  #hashedTo = 0;
  #readingBack = false;
  #readingBackEnds: Promise<void> = Promise.resolve();
  #ended = false;
  #digest: PromiseWithResolvers<Digest> | undefined;
  #failure: unknown;
  #finished: Digest | undefined;

  constructor(storage: FillStorage, body: HashedBody, digest: Digest) {
    this.#storage = storage;
    this.#body = body;
    this.#verifier = new DigestVerifier(digest);
    this.#readBack();
  }

  wrote(offset: number, bytes: BytePieces): void {
    if (offset === this.#hashedTo && !this.#readingBack) {
      for (const piece of piecesOf(bytes)) this.#verifier.update(piece);
      this.#hashedTo += piecesLength(bytes);
    }
    this.#readBack();
  }

  digest(): Promise<Digest> {
    this.#digest ??= Promise.withResolvers();
    this.#settle();
    return this.#digest.promise;
  }

  end(): Promise<void> {
    this.#ended = true;
    return this.#readingBackEnds;
  }

  #readBack(): void {
    if (this.#readingBack) return;
    const isThere = this.#body.filled.endFrom(this.#hashedTo) > this.#hashedTo;
    if (!isThere || this.#ended || this.#failure !== undefined) return this.#settle();
    this.#readingBack = true;
    this.#readingBackEnds = this.#readBackAll()
      .catch((error) => {
        this.#failure = error;
      })
      .finally(() => {
        this.#readingBack = false;
        // Bytes may have come after its last look.
        this.#readBack();
      });
  }

  async #readBackAll(): Promise<void> {
    const buffer = Buffer.allocUnsafe(512 * 1024);
    const release = this.#storage.hold();
    try {
      for (;;) {
        const end = this.#body.filled.endFrom(this.#hashedTo);
        if (end === this.#hashedTo || this.#ended) return;
        const block = buffer.subarray(0, Math.min(buffer.length, end - this.#hashedTo));
        await readAt(this.#storage.view, block, this.#hashedTo);
        this.#verifier.update(block);
        this.#hashedTo += block.length;
      }
    } finally {
      release();
    }
  }

  #settle(): void {
    if (this.#digest === undefined) return;
    if (this.#failure !== undefined) return this.#digest.reject(this.#failure);
    if (this.#hashedTo === this.#body.sizeBytes && !this.#readingBack) {
      this.#finished ??= this.#verifier.finish();
      this.#digest.resolve(this.#finished);
    }
  }
}
