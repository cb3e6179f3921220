import type { Digest } from '../core/digest.ts';

/** Hashes what files hold, wherever it does that: here, or in threads of its own. */
export interface ContentHasher {
  /** Begins the hash of a file, with its first byte, for `digest`'s algorithm. Costs nothing until it advances. */
  begin(digest: Digest, fd: number): ContentHash;
}

/**
 * The running hash of one file. Calls of `advance` and `finish` do not overlap, `fd` is valid until they have settled, and
 * the bytes that they are told of do not change any more. They reject with STORAGE_FAILED, the message saying why, where
 * the file does not give these bytes; with any other code nothing is known of the file.
 */
export interface ContentHash {
  /** Hashes on up to `to` (excluded). */
  advance(to: number): Promise<void>;
  /** Hashes on up to `to`, which is the end: the digest of all before it. Nothing can follow. */
  finish(to: number): Promise<Digest>;
  /** Hashes no more: what is under way rejects with CANCELLED. Resolves once the file is not read any more. Idempotent. */
  end(): Promise<void>;
}
