import { type Cipheriv, createCipheriv, createHash } from 'node:crypto';

const chunkBytes = 256 * 1024;

/**
 * Pseudo-random bytes from a seed: the same seed always gives the same bytes, no compressor shrinks them, and making
 * them costs less than hashing them (an AES-CTR keystream).
 */
export class Keystream {
  readonly #cipher: Cipheriv;
  readonly #zeros = Buffer.alloc(chunkBytes);

  constructor(seed: string) {
    const key = createHash('sha256').update(seed).digest();
    this.#cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  }

  /** The next `count` bytes in pieces of at most 256 KiB. */
  *pieces(count: number): Generator<Uint8Array> {
    for (let left = count; left > 0; left -= chunkBytes) {
      yield this.#cipher.update(left < chunkBytes ? this.#zeros.subarray(0, left) : this.#zeros);
    }
  }

  /** The next `count` bytes as one. */
  bytes(count: number): Uint8Array {
    return Buffer.concat([...this.pieces(count)]);
  }
}
