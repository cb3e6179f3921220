import type { BufferPool } from './buffer-pool.ts';

/**
 * The memory that is held until clients take it: blocks of the pool that are lent, and what else answers are made of. What
 * many answers share counts once, as it is there once: a crowd that follows one fill holds little, however large it is.
 *
 * Sockets hold what they were handed, and no copy: an answer hands over one block at a time and nothing more until the
 * kernel has taken it, so that what node keeps for its sockets is among what is counted here. Those of TLS do make a copy,
 * the encrypted one, each of its own: it is counted besides (`copied`).
 */
export class QueuedBytes {
  readonly #pool: Pick<BufferPool, 'lentBytes'>;
  readonly #held = new Map<ArrayBufferLike, { readonly bytes: number; holders: number }>();
  #bytes = 0;
  #copiedBytes = 0;

  constructor(pool: Pick<BufferPool, 'lentBytes'>) {
    this.#pool = pool;
  }

  get total(): number {
    return this.#pool.lentBytes + this.#bytes + this.#copiedBytes;
  }

  /** So many more bytes are copied, or fewer. */
  copied(bytes: number): void {
    this.#copiedBytes += bytes;
  }

  /** `bytes`, which are not the pool's, are held until the returned function is called, once. */
  hold({ buffer, length }: Uint8Array): () => void {
    const known = this.#held.get(buffer);
    const entry = known ?? { bytes: length, holders: 0 };
    if (known === undefined) {
      this.#held.set(buffer, entry);
      this.#bytes += entry.bytes;
    }
    entry.holders++;
    return () => {
      if (--entry.holders > 0) return;
      this.#held.delete(buffer);
      this.#bytes -= entry.bytes;
    };
  }
}
