import { type BytePieces, piecesLength } from '../core/byte-pieces.ts';
import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { FillMark } from '../core/fill-mark.ts';
import { IntervalSet } from '../core/interval-set.ts';
import type { ContentHasher } from '../store/content-hasher.ts';
import { DirectHash } from './direct-hash.ts';
import type { FillStorage, StorageView } from './fill-storage.ts';
import { FollowingHash } from './following-hash.ts';
import type { PrefixHash } from './prefix-hash.ts';

export interface FillBodyOptions {
  readonly digest: Digest;
  readonly sizeBytes: number | undefined;
  /** So many bytes at the end are held back until the whole is verified. */
  readonly holdBackBytes: number;
  /** The content comes from the store: it was verified when it went in. */
  readonly verified?: boolean;
  /** Hashes what is in a file. Without it, and in memory: bytes are hashed on their way. */
  readonly hasher?: ContentHasher;
  /** A body that is known to be no larger is hashed on its way, too; 0 unless told. */
  readonly hashDirectlyBytes?: number;
  /** What the hasher is told of in one go, at least; any byte unless told. */
  readonly hashStepBytes?: number;
}

/**
 * One attempt at a blob's content: where its bytes are, which are there, how far they are hashed, and whether they turned
 * out right. A flight that has to start over (wrong digest) gets a new body; readers of the old one are cut.
 *
 * Invariants
 * - `filled` says only what has been written: it is added to after the write resolved.
 * - The hash goes over the bytes from 0 to where they have no gap, each once, as they are in the storage.
 * - Nobody may read beyond `readableTo`, which leaves out the last `holdBackBytes` until `verified`.
 * - `verified` and `broken` are each set once, never both.
 * - Bytes that are there are never written again: feeds write only what is missing. So nothing that is hashed changes.
 */
export class FillBody {
  readonly storage: FillStorage;
  readonly filled: IntervalSet;
  readonly #holdBackBytes: number;
  /** None where there is nothing to prove. */
  readonly #hash: PrefixHash | undefined;
  #sizeBytes: number | undefined;
  #sizeIsConfirmed = false;
  #verified: boolean;
  #broken: AppError | undefined;
  #mark: FillMark | undefined;
  #isOver = false;

  constructor(storage: FillStorage, options: FillBodyOptions) {
    this.storage = storage;
    this.filled = new IntervalSet(storage.resumed.filled);
    this.#sizeBytes = options.sizeBytes;
    this.#holdBackBytes = options.holdBackBytes;
    this.#verified = options.verified ?? false;
    if (!this.#verified) this.#hash = hashOf(this, options);
  }

  get view(): StorageView {
    return this.storage.view;
  }

  /** Bytes of the whole blob; undefined until a source says it or the body has ended. */
  get sizeBytes(): number | undefined {
    return this.#sizeBytes;
  }

  /** Whether the size is a source's word, not only a manifest's claim. */
  get sizeIsConfirmed(): boolean {
    return this.#sizeIsConfirmed;
  }

  /** A source says the size, or has ended there. */
  setSize(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes;
    this.#sizeIsConfirmed = true;
    this.#writeMark();
  }

  /** A source says the size. Returns false where it cannot be: another is known, or more is there. */
  acceptSize(saidBytes: number): boolean {
    const isPossible = this.#sizeBytes === undefined ? saidBytes >= this.filled.end : saidBytes === this.#sizeBytes;
    if (isPossible) this.setSize(saidBytes);
    return isPossible;
  }

  /** Every byte is there. */
  get complete(): boolean {
    return this.#sizeBytes !== undefined && this.filled.bytes === this.#sizeBytes;
  }

  get verified(): boolean {
    return this.#verified;
  }

  markVerified(): void {
    this.#verified = true;
    this.#writeMark();
  }

  /** Why readers of this body must be cut, or undefined while it is sound as far as anyone knows. */
  get broken(): AppError | undefined {
    return this.#broken;
  }

  markBroken(error: AppError): void {
    this.#broken = error;
    void this.#hash?.end();
    this.markOver();
  }

  /** It will not become more: who follows it elsewhere has to ask what to do. */
  markOver(): void {
    this.#isOver = true;
    this.#mark?.end();
  }

  /** How far it may be read, for readers in other threads. Kept up from the first look at it. */
  get mark(): FillMark {
    if (this.#mark === undefined) {
      this.#mark = new FillMark();
      this.#writeMark();
      if (this.#isOver) this.#mark.end();
    }
    return this.#mark;
  }

  /** Readers may read from `offset` up to here; `offset` itself when its byte is missing or held back. */
  readableTo(offset: number): number {
    const there = this.filled.endFrom(offset);
    return this.#verified ? there : Math.max(offset, Math.min(there, this.#heldFrom));
  }

  /** Of a body whose size is unknown, any byte may be the last one. */
  get #heldFrom(): number {
    return (this.#sizeBytes ?? this.filled.endFrom(0)) - this.#holdBackBytes;
  }

  #writeMark(): void {
    this.#mark?.write({ filled: this.filled.intervals, heldFrom: this.#heldFrom, verified: this.#verified });
  }

  /** `bytes` are now in the storage at `offset`. Returns how many were new. */
  wrote(offset: number, bytes: BytePieces): number {
    const length = piecesLength(bytes);
    const added = this.filled.add(offset, offset + length);
    this.#writeMark();
    this.#hash?.wrote(offset, bytes);
    return added;
  }

  /** Resolves with the digest of the whole, which is complete. Rejects when it cannot be read back. */
  async hashed(): Promise<Digest> {
    if (this.#hash === undefined) throw new AppError('INTERNAL', 'what is verified is not hashed');
    return this.#hash.digest();
  }

  /** Hashes no more. Resolves when nothing is being read back. */
  async end(): Promise<void> {
    await this.#hash?.end();
  }
}

function hashOf(
  body: FillBody,
  { digest, hasher, hashDirectlyBytes = 0, hashStepBytes = 1 }: FillBodyOptions,
): PrefixHash {
  const { storage, sizeBytes } = body;
  const isSmall = sizeBytes !== undefined && sizeBytes <= hashDirectlyBytes;
  if (hasher === undefined || isSmall || storage.view.kind === 'memory') return new DirectHash(storage, body, digest);
  return new FollowingHash(storage, body, hasher.begin(digest, storage.view.fd), hashStepBytes);
}
