import type { Clock, Timer } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { type ErrorContext, interruptedError } from './upstream-errors.ts';

/** Received bytes are told of whenever so many more have come. */
const countEveryBytes = 1024 * 1024;

/** How a body ended. `waitedMs`: so long had its reader been waiting for the next byte. */
export type BodyEnd =
  /** All that was promised and wanted came. */
  | { readonly kind: 'complete' }
  /** It broke off, or whoever asked for it aborted. */
  | { readonly kind: 'failed'; readonly error: AppError; readonly waitedMs: number }
  /** Its reader did not want the rest. */
  | { readonly kind: 'left'; readonly waitedMs: number };

/**
 * One response's body on its way from the connection to its one reader.
 *
 * The connection pushes (`receive`, `complete`, `fail`), the reader pulls (`next`). Up to `highWaterBytes` lie in
 * between; then the connection is paused until the reader has caught up. The wire is `open` until it is `closed`, for
 * whatever reason, exactly once; whoever asked by `onClosed` is told then. An interruption reaches the reader after
 * the bytes that came before it, an abort at once. Whoever holds a body reads it to its end, leaves the loop, calls
 * `discard`, or aborts its signal: nothing else frees the connection.
 */
export class ResponseBody implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #wire: Wire;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #receivedBytes = 0;
  #open = true;
  #paused = false;
  #error: AppError | undefined;
  #waiter: PromiseWithResolvers<IteratorResult<Uint8Array, undefined>> | undefined;
  /** Since when the reader waits for bytes: a slow reader is not upstream's stall. */
  #waitingSinceMs = 0;
  #stallTimer: Timer | undefined;
  #discardBudgetBytes: number | undefined;
  #limitBytes: number | undefined;
  #exact = false;
  #finished = false;
  #onClosed: ((end: BodyEnd) => void)[] = [];
  #end: BodyEnd | undefined;
  #onCounted: ((bytes: number, activeMs: number) => void) | undefined;
  #countedBytes = 0;
  /** Since when time counts as the sender's, for the next count: a connection that we paused is not slow. */
  #activeSinceMs: number;
  #activeMs = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
    this.#paused = wire.isPaused;
    this.#activeSinceMs = wire.clock.monotonic();
  }

  /** Body bytes taken from the connection so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Calls back once nothing more will come, at once if that is so already. After `expect`. */
  onClosed(callback: (end: BodyEnd) => void): void {
    if (this.#end === undefined) this.#onClosed.push(callback);
    else callback(this.#end.kind === 'complete' && this.#isShort() ? this.#shortEnd() : this.#end);
  }

  /**
   * Tells how many bytes came since it last did, and in what time, without that in which the reader held them up: now and
   * then, so that a rate shows, and when nothing more will come.
   */
  countWith(callback: (bytes: number, activeMs: number) => void): void {
    this.#onCounted = callback;
    if (!this.#open) this.#count();
  }

  /**
   * Before the first read: has what comes lent, in memory that is used again. Every chunk is to be given back then, in order,
   * by the number of its bytes, or no more comes. Undefined: nothing has changed.
   */
  lend(): ((bytes: number) => void) | undefined {
    if (!this.#open || this.#finished || this.#receivedBytes > 0 || this.#waiter !== undefined) return undefined;
    const giveBack = this.#wire.take();
    if (giveBack !== undefined && this.#paused) this.#resume();
    return giveBack;
  }

  /** The body is these many bytes: fewer are an interruption, more are never handed out. Before the first read. */
  expect(bytes: number): void {
    this.#limitBytes = bytes;
    this.#exact = true;
  }

  receive(chunk: Uint8Array): void {
    if (!this.#open) return;
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes - this.#countedBytes >= countEveryBytes) this.#count();
    if (this.#discardBudgetBytes !== undefined) {
      this.#discardBudgetBytes -= chunk.length;
      if (this.#discardBudgetBytes < 0) this.#cut();
      return;
    }
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      waiter.resolve({ done: false, value: this.#handOut(chunk) });
      return;
    }
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (!this.#paused && this.#queuedBytes >= this.#wire.highWaterBytes) {
      this.#paused = true;
      this.#activeMs += this.#wire.clock.monotonic() - this.#activeSinceMs;
      this.#wire.pause();
    }
  }

  complete(): void {
    if (!this.#open) return;
    this.#close(this.#isShort() ? this.#shortEnd() : { kind: 'complete' });
    this.#settleWaiter();
  }

  /** The connection failed, or the wait for it was aborted: `drop` also forgets what the reader has not had yet. */
  fail(error: AppError, drop = false): void {
    if (!this.#open) return;
    if (drop) this.#drop();
    this.#error = error;
    this.#close({ kind: 'failed', error, waitedMs: this.#waitedMs() });
    this.#settleWaiter();
  }

  /** Ends the transfer with `error`; the connection with it, where bytes were still to come. */
  abort(error: AppError): void {
    const wasOpen = this.#open;
    this.fail(error, true);
    if (wasOpen) this.#wire.abort(error);
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const chunk = this.#finished ? undefined : this.#queue.shift();
    if (chunk !== undefined) {
      this.#queuedBytes -= chunk.length;
      const value = this.#handOut(chunk);
      if (this.#paused && this.#queuedBytes <= this.#wire.highWaterBytes / 2) this.#resume();
      return Promise.resolve({ done: false, value });
    }
    if (this.#limitBytes === 0) this.discard();
    if (this.#finished) return Promise.resolve({ done: true, value: undefined });
    const waiter = Promise.withResolvers<IteratorResult<Uint8Array, undefined>>();
    this.#waiter = waiter;
    if (!this.#open) {
      this.#settleWaiter();
    } else {
      this.#waitingSinceMs = this.#wire.clock.monotonic();
      this.#stallTimer ??= this.#watch(this.#wire.stallTimeoutMs);
      if (this.#paused) this.#resume();
    }
    return waiter.promise;
  }

  /** The reader leaves: what is still to come is not worth having, so the connection goes. */
  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#finished = true;
    this.#drop();
    this.#cut();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Drops the body, but lets a short rest come in so that the connection can be used again. */
  discard(): void {
    this.#finished = true;
    this.#drop();
    if (!this.#open || this.#discardBudgetBytes !== undefined) return;
    const restBytes = (this.#wire.declaredBytes ?? 0) - this.#receivedBytes;
    if (restBytes > maxDiscardBytes) return this.#cut();
    this.#discardBudgetBytes = maxDiscardBytes;
    this.#stallTimer?.clear();
    this.#stallTimer = this.#wire.clock.after(this.#wire.stallTimeoutMs, () => this.#cut());
    if (this.#paused) this.#resume();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #handOut(chunk: Uint8Array): Uint8Array {
    if (this.#limitBytes === undefined) return chunk;
    const part = chunk.length > this.#limitBytes ? chunk.subarray(0, this.#limitBytes) : chunk;
    this.#limitBytes -= part.length;
    return part;
  }

  #settleWaiter(): void {
    const waiter = this.#waiter;
    if (waiter === undefined) return;
    this.#waiter = undefined;
    const error = this.#error ?? (this.#isShort() ? interruptedError(this.#wire.context) : undefined);
    if (error === undefined || this.#finished) return waiter.resolve({ done: true, value: undefined });
    this.#finished = true;
    waiter.reject(error);
  }

  /** What came is less than was promised; of a body that is over. */
  #isShort(): boolean {
    return !this.#finished && this.#exact && (this.#limitBytes ?? 0) > this.#queuedBytes;
  }

  #shortEnd(): BodyEnd {
    return { kind: 'failed', error: interruptedError(this.#wire.context), waitedMs: this.#waitedMs() };
  }

  #waitedMs(): number {
    return this.#waiter === undefined ? 0 : this.#wire.clock.monotonic() - this.#waitingSinceMs;
  }

  /**
   * One timer serves the whole body: it is left running while chunks come and go, and looks, when it fires, how long
   * the present wait has lasted.
   */
  #watch(delayMs: number): Timer {
    return this.#wire.clock.after(delayMs, () => {
      this.#stallTimer = undefined;
      if (this.#waiter === undefined) return;
      const { clock, stallTimeoutMs, context } = this.#wire;
      const restMs = this.#waitingSinceMs + stallTimeoutMs - clock.monotonic();
      if (restMs > 0) {
        this.#stallTimer = this.#watch(restMs);
        return;
      }
      const message = `upstream ${context.upstream} (${context.host}) sent nothing for ${stallTimeoutMs} ms`;
      this.abort(new AppError('UPSTREAM_STALLED', message, { details: { upstream: context.upstream } }));
    });
  }

  #resume(): void {
    this.#paused = false;
    this.#activeSinceMs = this.#wire.clock.monotonic();
    this.#wire.resume();
  }

  #cut(): void {
    if (!this.#open) return;
    const isAll = this.#exact && this.#limitBytes === 0;
    this.#close(isAll ? { kind: 'complete' } : { kind: 'left', waitedMs: this.#waitedMs() });
    this.#settleWaiter();
    this.#wire.abort(new AppError('CANCELLED', 'the body is not wanted any more'));
  }

  #close(end: BodyEnd): void {
    this.#open = false;
    this.#end = end;
    this.#stallTimer?.clear();
    this.#stallTimer = undefined;
    this.#count();
    for (const callback of this.#onClosed.splice(0)) callback(end);
  }

  #count(): void {
    const bytes = this.#receivedBytes - this.#countedBytes;
    if (this.#onCounted === undefined || bytes === 0) return;
    const nowMs = this.#wire.clock.monotonic();
    const activeMs = this.#activeMs + (this.#paused ? 0 : nowMs - this.#activeSinceMs);
    this.#countedBytes = this.#receivedBytes;
    this.#activeMs = 0;
    this.#activeSinceMs = nowMs;
    this.#onCounted(bytes, activeMs);
  }

  #drop(): void {
    this.#queue.length = 0;
    this.#queuedBytes = 0;
  }
}

/** A rest that is cheaper to read than a new connection. */
const maxDiscardBytes = 64 * 1024;

/** What a body needs of its connection. */
export interface Wire {
  readonly clock: Clock;
  readonly stallTimeoutMs: number;
  readonly highWaterBytes: number;
  readonly context: ErrorContext;
  /** Content-Length, where it was given. */
  readonly declaredBytes: number | undefined;
  /** Nothing of the body comes before it is resumed, or taken. */
  readonly isPaused: boolean;
  /** Has the body come past the parser, at once. The function gives back memory. Undefined: it cannot. */
  take(): ((bytes: number) => void) | undefined;
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}
