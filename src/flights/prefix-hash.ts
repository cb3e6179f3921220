import type { BytePieces } from '../core/byte-pieces.ts';
import type { Digest } from '../core/digest.ts';
import type { IntervalSet } from '../core/interval-set.ts';

/** The hash of a body, which follows the prefix that is there. */
export interface PrefixHash {
  /** `bytes` are in the storage at `offset`, and stand in `HashedBody.filled`. */
  wrote(offset: number, bytes: BytePieces): void;
  /** Resolves with the digest of the whole, of which every byte is there. Rejects when it cannot be read back. */
  digest(): Promise<Digest>;
  /** Hashes no more. Resolves when nothing is being read. */
  end(): Promise<void>;
}

/** What it hashes. */
export interface HashedBody {
  readonly filled: IntervalSet;
  /** Bytes of the whole; undefined while nobody knows. */
  readonly sizeBytes: number | undefined;
}
