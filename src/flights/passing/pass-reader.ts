import type { Interval } from '../../core/byte-range.ts';
import { type Digest, DigestVerifier } from '../../core/digest.ts';
import { AppError, asAppError } from '../../core/errors.ts';
import { ReaderSleep } from '../reader-sleep.ts';
import type { Pass, PassFollower } from './pass.ts';

/** What a reader needs of the blob that is passed. */
export interface PassReaderHost {
  readonly digest: Digest;
  /** As far as known. */
  readonly sizeBytes: number | undefined;
  /** Has the reader follow a pass that has its next byte, or will soon. Throws OVERLOADED where `isNew` and there is no room. */
  place(reader: PassReader, isNew: boolean): void;
  /** What the passes that it read of brought has another digest. */
  mismatched(reader: PassReader, error: AppError): void;
  leave(reader: PassReader): void;
}

export interface PassReaderOptions {
  /** The size that the client may have been told. */
  readonly announcedBytes: number | undefined;
  /** The part that the client gets; undefined: the whole. */
  readonly range: Interval | undefined;
  /** What the client was handed before, from the start of its part on, and the hash over that. */
  readonly handed: HandedOut | undefined;
  /** So many bytes at the blob's end are held back until all of it is verified. */
  readonly holdBackBytes: number;
  /** So often it may start over with other sources, as long as the client has had nothing yet. */
  readonly maxBadBodies: number;
}

export interface HandedOut {
  readonly toOffset: number;
  /** Needed where the part reaches what is held back. */
  readonly hash: DigestVerifier | undefined;
}

/** Whether a part reaches what is held back at the blob's end, so that all of the blob must be verified for it. */
export function reachesHeldBack(
  range: Interval | undefined,
  sizeBytes: number | undefined,
  holdBackBytes: number,
): boolean {
  return range === undefined || sizeBytes === undefined || range.end > sizeBytes - holdBackBytes;
}

/**
 * One response that is passed a blob.
 *
 * Invariants
 * - A reader whose part reaches the bytes held back at the blob's end hashes all of the blob itself, each byte once and in
 *   order, as the client has it or gets it; what comes before its part it runs over. It hands out the held back bytes only
 *   once the digest is right (P4). Only what it has hashed or hashes now leaves its hands.
 * - It follows at most one pass, in whose window its next byte is or will be; dropped, it looks for another one when it is
 *   next asked. It never holds a pass up: a pass reads on for its foremost follower alone (P3).
 * - A wrong body cuts it, unless the client has had none of it: then it starts over.
 * - It sleeps in at most one wait. Its signal ends that wait and nothing else; `close` ends everything.
 */
export class PassReader implements PassFollower {
  readonly storage: { readonly kind: 'window'; readonly window: PassReader } = { kind: 'window', window: this };
  readonly #host: PassReaderHost;
  readonly #options: PassReaderOptions;
  #range: Interval | undefined;
  #announcedBytes: number | undefined;
  /** The first byte that this reader hands out. */
  #first: number;
  #position = 0;
  #hash: DigestVerifier | undefined;
  #hashedTo = 0;
  /** Over what the client has had of its part before, where that is run over again. */
  #again: DigestVerifier | undefined;
  #verified = false;
  #badBodies = 0;
  #pass: Pass | undefined;
  /** Those that it read of, to be blamed together. */
  readonly passes: Set<Pass> = new Set();
  #failure: AppError | undefined;
  readonly #sleep = new ReaderSleep();
  #closed = false;

  constructor(host: PassReaderHost, options: PassReaderOptions) {
    this.#host = host;
    this.#options = options;
    this.#range = options.range;
    this.#announcedBytes = options.announcedBytes ?? host.sizeBytes;
    this.#first = options.handed?.toOffset ?? this.start;
    this.#rewind();
  }

  get start(): number {
    return this.#range?.start ?? 0;
  }

  /** Where its part ends (excluded), as far as known. */
  get end(): number | undefined {
    return this.#range?.end ?? this.sizeBytes;
  }

  /** The blob's size, as far as known. */
  get sizeBytes(): number | undefined {
    this.#announcedBytes ??= this.#host.sizeBytes;
    return this.#announcedBytes;
  }

  /** The next byte that it needs of a pass. */
  get position(): number {
    return this.#position;
  }

  /** It runs over what comes before its part, as fast as it comes. */
  get isRunningUp(): boolean {
    return this.#position < this.#first;
  }

  get hasBegun(): boolean {
    return this.#options.handed !== undefined || this.#position > this.#first;
  }

  /** All that it will hand out is known to be right. */
  get isVerified(): boolean {
    return this.#verified;
  }

  get pass(): Pass | undefined {
    return this.#pass;
  }

  /** Takes only a part. Before anything is read. */
  setRange(range: Interval): void {
    this.#range = range;
    this.#first = range.start;
    this.#rewind();
    this.#host.place(this, true);
  }

  /** The blob's size as soon as a source says it; undefined when one delivers without saying. */
  async whenSized(signal: AbortSignal): Promise<number | undefined> {
    const isKnown = () => {
      if (this.#failure !== undefined) throw this.#failure;
      return this.sizeBytes !== undefined || (this.#pass !== undefined && this.#pass.window.end > this.#pass.start);
    };
    if (!isKnown()) await this.#sleep.until(isKnown, signal);
    return this.sizeBytes;
  }

  readableTo(offset: number): number {
    this.#advance();
    const window = this.#pass?.window;
    if (window === undefined || this.isRunningUp || !window.reaches(offset)) return offset;
    return Math.max(offset, Math.min(window.end, this.#limit));
  }

  async whenReadable(offset: number, signal: AbortSignal): Promise<number> {
    const isReady = () => this.readableTo(offset) > offset || this.#isAtEnd(offset);
    // Between the waking and now the byte may have gone out of the window again.
    while (!isReady()) {
      if (this.#pass === undefined) this.#host.place(this, false);
      if (!isReady()) await this.#sleep.until(isReady, signal);
    }
    return this.readableTo(offset);
  }

  /**
   * Copies bytes from `offset` on to `into`; returns how many: none where they have gone out of the window since
   * `readableTo` said that they were there. In order, each byte once.
   */
  read(offset: number, into: Uint8Array): number {
    const pass = this.#pass;
    if (pass === undefined) return 0;
    if (offset !== this.#position) throw new Error(`byte ${offset} is not the next one`);
    const to = Math.min(pass.window.end, this.#limit, offset + into.length);
    while (this.#position < to) {
      const bytes = pass.window.at(this.#position, to - this.#position);
      into.set(bytes, this.#position - offset);
      this.#hashNext(bytes);
      this.#position += bytes.length;
    }
    pass.moved();
    return this.#position - offset;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leavePass();
    this.#sleep.close();
    this.#host.leave(this);
  }

  /** Follows `pass` from now on. */
  follow(pass: Pass): void {
    if (pass === this.#pass) return;
    this.#leavePass();
    this.#pass = pass;
    this.passes.add(pass);
    pass.follow(this);
    // What it sleeps for may be there already.
    this.wake();
  }

  // --- PassFollower ------------------------------------------------------------------------------------------------

  wake(): void {
    const { isAsleep } = this.#sleep;
    try {
      if (!isAsleep) this.#advance();
      else if (this.#sleep.wake()) this.#replace();
    } catch (error) {
      if (isAsleep) this.#sleep.fail(error);
      else this.#failure ??= asAppError(error);
    }
  }

  dropped(): void {
    this.#pass = undefined;
    this.wake();
  }

  failed(error: AppError): void {
    this.#pass = undefined;
    this.#failure ??= error;
    this.wake();
  }

  // --- inside ------------------------------------------------------------------------------------------------------

  /** One that sleeps needs a pass to be woken by. */
  #replace(): void {
    if (this.#pass === undefined && !this.#closed) this.#host.place(this, false);
  }

  /** Where it may hand out to now. */
  get #limit(): number {
    const end = this.end ?? Number.POSITIVE_INFINITY;
    if (this.#hash === undefined || this.#verified) return end;
    // Of a blob whose size is unknown, any byte may be the last one.
    const to = this.#host.sizeBytes ?? this.#pass?.window.end ?? 0;
    return Math.min(end, to - this.#options.holdBackBytes);
  }

  /** To where it has to read from: the client has had nothing, or what `handed` says. */
  #rewind(): void {
    const { handed } = this.#options;
    this.#leavePass();
    this.#again = undefined;
    this.#hash = undefined;
    this.#position = this.#first;
    if (!reachesHeldBack(this.#range, this.sizeBytes, this.#options.holdBackBytes)) return;
    if (handed !== undefined && handed.hash === undefined) throw new Error('what was handed out cannot be vouched for');
    if (handed?.hash !== undefined && this.start === 0) {
      this.#hash = handed.hash.copy();
    } else {
      this.#hash = new DigestVerifier(this.#host.digest);
      this.#position = 0;
      if (handed !== undefined) this.#again = new DigestVerifier(this.#host.digest);
    }
    this.#hashedTo = this.#position;
  }

  /** Runs over what is not handed out, and verifies when all there is to hash is there. Throws what it has failed of. */
  #advance(): void {
    if (this.#failure !== undefined) throw this.#failure;
    const pass = this.#pass;
    if (pass === undefined) return;
    this.#checkSize();
    if (this.isRunningUp) this.#runUp(pass);
    const { sizeBytes } = this.#host;
    if (this.#hash === undefined || this.#verified || sizeBytes === undefined || !pass.isComplete) return;
    if (this.#position >= sizeBytes - this.#options.holdBackBytes) this.#verify(pass, this.#hash, sizeBytes);
  }

  #runUp(pass: Pass): void {
    const { window } = pass;
    while (this.isRunningUp && this.#position >= window.start && this.#position < window.end) {
      const bytes = window.at(this.#position, this.#first - this.#position);
      this.#hashNext(bytes);
      this.#compareLater(bytes);
      this.#position += bytes.length;
    }
    if (!this.isRunningUp) this.#compare();
    pass.moved();
  }

  #hashNext(bytes: Uint8Array): void {
    if (this.#hash === undefined || this.#position !== this.#hashedTo) return;
    this.#hash.update(bytes);
    this.#hashedTo += bytes.length;
  }

  #compareLater(bytes: Uint8Array): void {
    const before = this.start - this.#position;
    if (this.#again === undefined || before >= bytes.length) return;
    this.#again.update(before > 0 ? bytes.subarray(before) : bytes);
  }

  /** What the client has of its part must be what stands there in the blob that is being verified. */
  #compare(): void {
    const { handed } = this.#options;
    if (this.#again === undefined || handed?.hash === undefined) return;
    const isSame = this.#again.finish() === handed.hash.copy().finish();
    this.#again = undefined;
    if (isSame) return;
    throw this.#fail(new AppError('CONTENT_MISMATCH', 'what was sent before is not what upstream has'));
  }

  #verify(pass: Pass, hash: DigestVerifier, sizeBytes: number): void {
    while (this.#hashedTo < sizeBytes) {
      const bytes = pass.window.at(this.#hashedTo, sizeBytes - this.#hashedTo);
      hash.update(bytes);
      this.#hashedTo += bytes.length;
    }
    const digest = hash.finish();
    if (digest === this.#host.digest) {
      this.#verified = true;
      return;
    }
    const names = [...this.passes].flatMap(({ contributors }) => [...contributors].map(({ origin }) => origin));
    const error = new AppError('CONTENT_MISMATCH', `what ${[...new Set(names)].join(', ')} sent hashes to ${digest}`);
    this.#host.mismatched(this, error);
    const hasHandedOut = this.#position > this.#first || this.#options.handed !== undefined;
    if (hasHandedOut || ++this.#badBodies > this.#options.maxBadBodies) throw this.#fail(error);
    this.passes.clear();
    this.#rewind();
  }

  #checkSize(): void {
    const { sizeBytes } = this.#host;
    if (sizeBytes === undefined || this.#announcedBytes === undefined || sizeBytes === this.#announcedBytes) return;
    const message = `the blob has ${sizeBytes} bytes, not ${this.#announcedBytes} as announced`;
    throw this.#fail(new AppError('CONTENT_MISMATCH', message));
  }

  #fail(error: AppError): AppError {
    this.#failure = error;
    this.#leavePass();
    return error;
  }

  #isAtEnd(offset: number): boolean {
    const { end } = this;
    if (end === undefined || offset < end) return false;
    return this.#verified || this.#hash === undefined;
  }

  #leavePass(): void {
    const pass = this.#pass;
    this.#pass = undefined;
    pass?.leave(this);
  }
}
