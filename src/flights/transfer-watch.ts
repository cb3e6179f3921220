import type { Clock, Timer } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { formatSize } from '../core/units.ts';

export interface TransferLimits {
  /** So long may a source take to begin to deliver, waiting for its turn included. */
  readonly askTimeoutMs: number;
  /** Without a byte for so long, a source that is delivering counts as stalled. */
  readonly stallTimeoutMs: number;
  /** One that brings less than this while it is waited for so long is too slow. 0: any byte will do. */
  readonly minProgressBytes: number;
}

export interface TransferJudge {
  /** It does not deliver: the transfer is over. */
  silent(error: AppError): void;
  /** It was waited for through a whole stall window, and brought too little (`error` says so) or enough. */
  paced(error: AppError | undefined): void;
}

/**
 * Watches how one source delivers. Only the time counts in which we waited for it: what our disk takes is not its fault.
 * Costs two readings of the clock per chunk and a timer per stall window.
 */
export class TransferWatch {
  readonly #clock: Clock;
  readonly #limits: TransferLimits;
  readonly #origin: string;
  readonly #judge: TransferJudge;
  #timer: Timer | undefined;
  #askedAtMs: number;
  #firstByteAtMs: number | undefined;
  #bytes = 0;
  /** Since when the source is waited for; undefined while we are busy with what it sent. */
  #waitingSinceMs: number | undefined;
  #windowBytes = 0;
  /** Waited in this window, before `#waitingSinceMs`. */
  #windowWaitedMs = 0;

  constructor(clock: Clock, limits: TransferLimits, origin: string, judge: TransferJudge) {
    this.#clock = clock;
    this.#limits = limits;
    this.#origin = origin;
    this.#judge = judge;
    this.#askedAtMs = clock.monotonic();
  }

  /** No byte of the body has come yet. */
  get isAsking(): boolean {
    return this.#firstByteAtMs === undefined;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** From the request to the first byte, without the wait for a turn; so far, while there is none. */
  get firstByteMs(): number {
    return (this.#firstByteAtMs ?? this.#clock.monotonic()) - this.#askedAtMs;
  }

  /** Over the whole transfer, from its first byte on. 0 while there is nothing to say. */
  get averageBytesPerSecond(): number {
    const elapsedMs = this.#clock.monotonic() - (this.#firstByteAtMs ?? Number.POSITIVE_INFINITY);
    return elapsedMs > 0 ? (this.#bytes * 1000) / elapsedMs : 0;
  }

  start(): void {
    this.asked();
    this.waits();
    this.#arm(Math.min(this.#limits.askTimeoutMs, this.#limits.stallTimeoutMs));
  }

  /** The request goes out now: before, it waited for its turn. */
  asked(): void {
    this.#askedAtMs = this.#clock.monotonic();
  }

  /** The source is waited for from now on. */
  waits(): void {
    this.#waitingSinceMs = this.#clock.monotonic();
  }

  /** It sent a chunk, with which we are busy now. */
  brought(bytes: number): void {
    const nowMs = this.#clock.monotonic();
    this.#firstByteAtMs ??= nowMs;
    this.#windowWaitedMs += nowMs - (this.#waitingSinceMs ?? nowMs);
    this.#waitingSinceMs = undefined;
    this.#windowBytes += bytes;
    this.#bytes += bytes;
  }

  stop(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }

  #arm(afterMs: number): void {
    this.#timer = this.#clock.after(afterMs, () => {
      this.#timer = undefined;
      this.#look();
    });
  }

  #look(): void {
    const { askTimeoutMs, stallTimeoutMs } = this.#limits;
    const nowMs = this.#clock.monotonic();
    const silentMs = nowMs - (this.#waitingSinceMs ?? nowMs);
    const limitMs = this.isAsking ? askTimeoutMs : stallTimeoutMs;
    if (silentMs >= limitMs) {
      const message = `${this.#origin} sent nothing for ${Math.round(silentMs / 1000)} s`;
      return this.#judge.silent(new AppError('UPSTREAM_STALLED', message));
    }
    if (this.isAsking) return this.#arm(limitMs - silentMs);
    const waitedMs = this.#windowWaitedMs + silentMs;
    if (waitedMs < stallTimeoutMs) return this.#arm(stallTimeoutMs - waitedMs);
    const error = this.#windowBytes < this.#limits.minProgressBytes ? this.#tooSlow(waitedMs) : undefined;
    this.#windowBytes = 0;
    this.#windowWaitedMs = -silentMs;
    this.#arm(stallTimeoutMs - silentMs);
    this.#judge.paced(error);
  }

  #tooSlow(waitedMs: number): AppError {
    const message = `${this.#origin} sent only ${formatSize(this.#windowBytes)} in ${Math.round(waitedMs / 1000)} s`;
    return new AppError('UPSTREAM_STALLED', message);
  }
}
