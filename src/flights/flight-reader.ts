import type { Interval } from '../core/byte-range.ts';
import { AppError } from '../core/errors.ts';
import type { FillMark } from '../core/fill-mark.ts';
import type { FillBody } from './fill-body.ts';
import type { StorageView } from './fill-storage.ts';
import { ReaderSleep } from './reader-sleep.ts';

/** What a reader needs of its flight. */
export interface ReaderHost {
  readonly body: FillBody | undefined;
  readonly error: AppError | undefined;
  /** Why those who have had no byte get none, while others are still waited for. */
  readonly denial: AppError | undefined;
  wanted(offset: number): void;
  leave(reader: FlightReader): void;
}

/**
 * One response following a flight.
 *
 * Invariants
 * - It reads of one body only: the one that gave it its first byte. If that one turns out wrong, it is cut; a reader that has
 *   had no byte yet goes on with the next body.
 * - A reader whose part ends with the blob, or where the client was told that it ends, reaches that end only once the body
 *   is verified (P4), an empty blob included.
 * - It sleeps in at most one wait. Its signal ends that wait and nothing else; `close` ends everything.
 */
export class FlightReader {
  /** By the clock that only grows. */
  readonly joinedAtMs: number;
  readonly #host: ReaderHost;
  /** The size that the client may have been told: the body must have just that. */
  #announcedBytes: number | undefined;
  #range: Interval | undefined;
  #position: number;
  #body: FillBody | undefined;
  #release: (() => void) | undefined;
  readonly #sleep = new ReaderSleep();
  /** It waits in another thread, by the mark. */
  #sleepsElsewhere = false;
  #passesOn = false;
  #closed = false;

  constructor(host: ReaderHost, announcedBytes: number | undefined, range: Interval | undefined, joinedAtMs: number) {
    this.joinedAtMs = joinedAtMs;
    this.#host = host;
    this.#announcedBytes = announcedBytes;
    this.#range = range;
    this.#position = range?.start ?? 0;
  }

  get start(): number {
    return this.#range?.start ?? 0;
  }

  /** Where its part ends (excluded), as far as known. */
  get end(): number | undefined {
    return this.#range?.end ?? this.#announcedBytes ?? this.#host.body?.sizeBytes;
  }

  /** The blob's size, as far as known. */
  get sizeBytes(): number | undefined {
    this.#announcedBytes ??= this.#host.body?.sizeBytes;
    return this.#announcedBytes;
  }

  /** Why what it reads cannot be completed, once that is so. */
  get failure(): AppError | undefined {
    const body = this.#body ?? this.#host.body;
    if (body?.verified === true) return undefined;
    return body?.broken ?? this.#host.error ?? this.#denial;
  }

  get #denial(): AppError | undefined {
    const { denial } = this.#host;
    return denial === undefined || this.hasBegun ? undefined : denial;
  }

  /** It is another node, which has readers of its own, and lines no faster than ours. */
  passOn(): void {
    this.#passesOn = true;
  }

  get passesOn(): boolean {
    return this.#passesOn;
  }

  /** Takes only a part. Before anything is read. */
  setRange(range: Interval): void {
    this.#range = range;
    this.#position = range.start;
  }

  /** Its client has had bytes, or can have them at once. */
  get hasBegun(): boolean {
    const body = this.#body ?? this.#host.body;
    return this.#body !== undefined || (body !== undefined && body.readableTo(this.#position) > this.#position);
  }

  get storage(): StorageView {
    if (this.#body === undefined) throw new Error('nothing is readable yet');
    return this.#body.view;
  }

  /**
   * How far it may read, for a reader in another thread; undefined where more than that is to be looked at: nothing has been
   * read, or where it ends is not certain yet.
   */
  get mark(): FillMark | undefined {
    const body = this.#body;
    return body?.sizeBytes === undefined || this.#isMisled(body) ? undefined : body.mark;
  }

  /** The blob's size as soon as a source says it; undefined when one delivers without saying. */
  async whenSized(signal: AbortSignal): Promise<number | undefined> {
    const isKnown = () => {
      if (this.#host.error !== undefined) throw this.#host.error;
      const body = this.#host.body;
      return body !== undefined && (body.sizeBytes !== undefined || body.filled.bytes > 0);
    };
    if (this.sizeBytes === undefined && !isKnown()) await this.#sleep.until(isKnown, signal);
    return this.sizeBytes;
  }

  readableTo(offset: number): number {
    const body = this.#currentBody();
    if (body === undefined) return offset;
    const to = Math.min(body.readableTo(offset), this.#readableEnd(body));
    if (to <= offset) return offset;
    this.readOf(body);
    return to;
  }

  /**
   * Reads of `body` from now on, which stays open for it. Called by the flight once the body is verified: after that it is
   * closed for all who have not begun to read by then.
   */
  readOf(body: FillBody): void {
    if (this.#body !== undefined || this.#closed) return;
    this.#body = body;
    this.#release = body.storage.hold();
  }

  async whenReadable(offset: number, signal: AbortSignal): Promise<number> {
    const isReady = () => this.readableTo(offset) > offset || this.#isAtEnd(offset);
    if (!isReady()) {
      this.#position = offset;
      const awake = this.#sleep.until(isReady, signal);
      this.#host.wanted(offset);
      await awake;
    }
    return this.readableTo(offset);
  }

  /** Its client's thread waits at `offset` for what the mark will tell. */
  sleepsAt(offset: number): void {
    if (this.#closed || this.failure !== undefined) return;
    this.#position = offset;
    this.#sleepsElsewhere = true;
    this.#host.wanted(offset);
  }

  /** The byte that it waits for, or will ask for first, if `body` cannot give it now. */
  missing(body: FillBody): number | undefined {
    if (this.#isMisled(body)) return undefined;
    const from = this.#position;
    const waits = this.#sleep.isAsleep || this.#sleepsElsewhere || this.#body === undefined;
    return waits && body.filled.endFrom(from) === from ? from : undefined;
  }

  /** Something changed: looks whether that is what it sleeps for. */
  wake(): void {
    this.#sleep.wake();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sleep.close();
    this.#release?.();
    this.#host.leave(this);
  }

  /** The body it reads of, or may begin to. Throws once it cannot be completed. */
  #currentBody(): FillBody | undefined {
    const body = this.#body ?? this.#host.body;
    if (this.failure !== undefined) throw this.failure;
    if (body !== undefined && this.#isMisled(body)) {
      const message = `the blob has ${body.sizeBytes} bytes, not ${this.#announcedBytes} as announced`;
      throw new AppError('CONTENT_MISMATCH', message);
    }
    return body;
  }

  /** Its client may have been told another size. */
  #isMisled({ sizeBytes }: FillBody): boolean {
    return sizeBytes !== undefined && this.#announcedBytes !== undefined && sizeBytes !== this.#announcedBytes;
  }

  /** Where it may read to. Of a body of unknown size, the end that the client was told is no end yet: not all of it goes out. */
  #readableEnd(body: FillBody): number {
    const end = this.end ?? Number.POSITIVE_INFINITY;
    return body.sizeBytes === undefined && end === this.#announcedBytes ? end - 1 : end;
  }

  #isAtEnd(offset: number): boolean {
    const body = this.#currentBody();
    const end = this.end;
    if (body === undefined || end === undefined || offset < end) return false;
    return body.verified || (body.sizeBytes !== undefined && end < body.sizeBytes);
  }
}
