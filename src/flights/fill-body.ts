import { type BytePieces, piecesLength, piecesOf } from '../core/byte-pieces.ts';
import { type Digest, DigestVerifier } from '../core/digest.ts';
import type { AppError } from '../core/errors.ts';
import { FillMark } from '../core/fill-mark.ts';
import { IntervalSet } from '../core/interval-set.ts';
import type { FillStorage, StorageView } from './fill-storage.ts';
import { readAt } from './read-at.ts';

export interface FillBodyOptions {
  readonly digest: Digest;
  readonly sizeBytes: number | undefined;
  /** So many bytes at the end are held back until the whole is verified. */
  readonly holdBackBytes: number;
  /** The content comes from the store: it was verified when it went in. */
  readonly verified?: boolean;
}

/**
 * One attempt at a blob's content: where its bytes are, which are there, how far they are hashed, and whether they turned
 * out right. A flight that has to start over (wrong digest) gets a new body; readers of the old one are cut.
 *
 * Invariants
 * - `filled` says only what has been written: it is added to after the write resolved.
 * - The hash has gone over exactly [0, hashedTo), each byte once, as it is in the storage.
 * - Nobody may read beyond `readableTo`, which leaves out the last `holdBackBytes` until `verified`.
 * - `verified` and `broken` are each set once, never both.
 * - Bytes in [0, hashedTo) are never written again; feeds write only what is missing.
 */
export class FillBody {
  readonly storage: FillStorage;
  readonly filled: IntervalSet;
  readonly #holdBackBytes: number;
  readonly #verifier: DigestVerifier;
  #sizeBytes: number | undefined;
  #sizeIsConfirmed = false;
  #hashedTo = 0;
  #readingBack = false;
  #readingBackEnds: Promise<void> = Promise.resolve();
  #ended = false;
  #verified: boolean;
  #broken: AppError | undefined;
  #hashed: PromiseWithResolvers<Digest> | undefined;
  #hashFailure: unknown;
  #finished: Digest | undefined;
  #mark: FillMark | undefined;
  #isOver = false;

  constructor(storage: FillStorage, options: FillBodyOptions) {
    this.storage = storage;
    this.filled = new IntervalSet(storage.resumed.filled);
    this.#sizeBytes = options.sizeBytes;
    this.#holdBackBytes = options.holdBackBytes;
    this.#verifier = new DigestVerifier(options.digest);
    this.#verified = options.verified ?? false;
    if (!this.#verified) this.#readBack();
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
    if (offset === this.#hashedTo && !this.#readingBack) {
      for (const piece of piecesOf(bytes)) this.#verifier.update(piece);
      this.#hashedTo += length;
    }
    this.#readBack();
    return added;
  }

  /** Resolves with the digest of the whole once all of it is there and hashed. Rejects when it cannot be read back. */
  hashed(): Promise<Digest> {
    this.#hashed ??= Promise.withResolvers<Digest>();
    this.#settleHash();
    return this.#hashed.promise;
  }

  /** Hashes no more. Resolves when nothing is being read back. */
  end(): Promise<void> {
    this.#ended = true;
    return this.#readingBackEnds;
  }

  /** Hashes what the prefix has reached but was written out of order, or by an earlier process. */
  #readBack(): void {
    if (this.#readingBack) return;
    const isThere = this.filled.endFrom(this.#hashedTo) > this.#hashedTo;
    if (!isThere || this.#ended || this.#broken !== undefined || this.#hashFailure !== undefined)
      return this.#settleHash();
    this.#readingBack = true;
    this.#readingBackEnds = this.#readBackAll()
      .catch((error) => {
        this.#hashFailure = error;
      })
      .finally(() => {
        this.#readingBack = false;
        // Bytes may have come after its last look.
        this.#readBack();
      });
  }

  async #readBackAll(): Promise<void> {
    const buffer = Buffer.allocUnsafe(512 * 1024);
    const release = this.storage.hold();
    try {
      for (;;) {
        const end = this.filled.endFrom(this.#hashedTo);
        if (end === this.#hashedTo || this.#ended || this.#broken !== undefined) return;
        const block = buffer.subarray(0, Math.min(buffer.length, end - this.#hashedTo));
        await readAt(this.view, block, this.#hashedTo);
        this.#verifier.update(block);
        this.#hashedTo += block.length;
      }
    } finally {
      release();
    }
  }

  #settleHash(): void {
    if (this.#hashed === undefined) return;
    if (this.#hashFailure !== undefined) return this.#hashed.reject(this.#hashFailure);
    if (this.complete && this.#hashedTo === this.#sizeBytes && !this.#readingBack) {
      this.#hashed.resolve(this.#finish());
    }
  }

  #finish(): Digest {
    this.#finished ??= this.#verifier.finish();
    return this.#finished;
  }
}
