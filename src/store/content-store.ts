import type { BytePieces } from '../core/byte-pieces.ts';
import type { Interval } from '../core/byte-range.ts';
import type { Digest } from '../core/digest.ts';

/**
 * Content by its digest, and the fills in progress. What is committed has the digest that it is named by: only
 * `PartialBlob.commit` and `put` add content, both after the caller verified it (P4), both atomic and durable (P10).
 */
export interface ContentStore {
  /** The size of committed content in bytes, or undefined where we do not have it. */
  sizeOf(digest: Digest): Promise<number | undefined>;
  /** What of a fill that is open, or ended early, is on disk; 0 where there is none. */
  partialBytes(digest: Digest): number;
  /** Opens committed content; while it is open it is not evicted. Undefined where we do not have it. */
  open(digest: Digest): Promise<StoredBlob | undefined>;
  /** All bytes of small committed content (at most `maxBytes`; larger is a STORAGE_FAILED), or undefined. */
  read(digest: Digest, maxBytes: number): Promise<Uint8Array | undefined>;
  /** As `read`, which is no use of it, though: for who looks at what is here. */
  look(digest: Digest, maxBytes: number): Promise<Uint8Array | undefined>;
  /** Commits small content that the caller has verified to have `digest`. Doing so twice is harmless. */
  put(digest: Digest, bytes: Uint8Array): Promise<void>;
  /**
   * Starts or resumes the fill of `digest`. At most one may be open per digest (the flight table sees to it); content
   * with an open fill is not evicted, nor is what the fill commits until it is closed.
   */
  openPartial(digest: Digest): Promise<PartialBlob>;
  /**
   * Makes room for content of `sizeBytes`, evicting what may leave; with `digest`, room that is kept for its fill until
   * that is closed, and what an earlier fill of it left on disk counts as a part of it. Says whether there is room now, or
   * why there is none whatever leaves; then nothing leaves in vain.
   */
  makeRoom(sizeBytes: number, digest?: Digest): Promise<Room>;
  /**
   * Keeps committed content from being evicted until the returned function is called; a purge takes it all the same. What only
   * it references may leave. `sizeBytes`: what it takes of the store.
   */
  keep(digest: Digest, sizeBytes: number): () => void;
  /**
   * Takes content that turned out to be damaged out of the store, so that it is fetched again: if it is the very file that
   * `fd` has open, and no other has its place by now. `fd` has to be valid at the call. Who has it open keeps it.
   */
  condemn(digest: Digest, fd: number, reason: string): Promise<void>;
  /**
   * The file that a gateway is in by a lease, by its `fileId`: held, so that who goes on from it can read it after the
   * gateway has left. It may be condemned by now, and another have its place. Undefined where it is not open any more.
   */
  leased(digest: Digest, fileId: number): StoredBlob | undefined;
  /** The gateway's thread is over: what it was reading in a lease it reads no more. Before another one has its number. */
  gatewayEnded(gateway: number): void;
}

/**
 * `too-large`: more than the whole cache may hold. `disk-full`: others take too much of the disk. `cache-in-use`: the disk
 * has room, but within the cache's bound all is being filled, read, or pinned. `disk-failed`: it lets nothing go.
 */
export type Room = 'enough' | 'too-large' | 'disk-full' | 'cache-in-use' | 'disk-failed';

/** Committed content, open for reading. */
export interface StoredBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** For positional reads only (`fs.read` with a position). Valid until `close`. */
  readonly fd: number;
  /** `fd` once more; the same object for all who have the same file open. */
  readonly view: FileView;
  /**
   * Undefined where its bytes were hashed lately enough to be served as they are. Else they are being hashed, once for all
   * who opened it: resolves when they are right, rejects when they are not; then it has left the store.
   */
  readonly proof: Promise<void> | undefined;
  /** Somebody waits for `proof` and for nothing else: it comes before what nobody waits for yet. */
  hurry(): void;
  /**
   * Before `close`: a right for the gateway to read the file also later. Undefined where its bytes need a proof, or another
   * file has its place by now.
   */
  readonly lease?: ((gateway: number) => FileLease | undefined) | undefined;
  close(): void;
}

export interface FileView {
  readonly kind: 'file';
  readonly fd: number;
  /** Names this open file: no other one of the store ever has the number. What can be read at an offset never changes. */
  readonly fileId: number;
  /** All of the file is there. */
  readonly sizeBytes: number;
}

/** One gateway's right to read a file, until it is taken back: `index` is that of a `SharedUse` in `words`. */
export interface FileLease {
  readonly words: SharedArrayBuffer;
  readonly index: number;
  /** Ms since the epoch: then it is to be asked for again, or its bytes want a new proof. */
  readonly untilMs: number;
}

/**
 * A sparse file being filled. Survives the process: what `record` was told, and what was written in order after the
 * last recorded interval, is `filled` when the same digest is opened again.
 */
export interface PartialBlob {
  readonly digest: Digest;
  /** For positional reads; keeps its content after `commit` and `discard`, and is valid until `close` and every `hold` ended. */
  readonly fd: number;
  /** As in `FileView`: each time it is opened it is another one, for what was not recorded may be filled with other bytes. */
  readonly fileId: number;
  /** What an earlier process left here, unverified. Empty for a new file. */
  readonly resumed: { readonly filled: readonly Interval[]; readonly sizeBytes: number | undefined };
  /** Writes all of `bytes` at `offset`. Rejects with STORAGE_FULL (ENOSPC, EDQUOT) or STORAGE_FAILED. */
  write(bytes: BytePieces, offset: number): Promise<void>;
  /** Notes durably-enough which bytes are there, for a later process. Callers throttle it; calls never overlap. */
  record(filled: readonly Interval[], sizeBytes: number | undefined): Promise<void>;
  /** fsync, rename into the store, fsync the folder: after it resolves the content survives a crash. Once. */
  commit(sizeBytes: number): Promise<void>;
  /** Removes the file and its record. Once, instead of `commit`. */
  discard(): Promise<void>;
  /**
   * Keeps `fd` valid until the returned function is called, beyond `close` too: a response may still be reading what a
   * fill that has ended wrote. What is held counts as being read: it is not evicted.
   */
  hold(): () => void;
  /**
   * Ends the fill: the same digest may be opened again at once. Without `commit` or `discard` before, file and record
   * stay for that later fill. Idempotent.
   */
  close(): Promise<void>;
}
