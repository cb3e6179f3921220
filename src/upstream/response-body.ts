import type { Clock, Timer } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { type ErrorContext, interruptedError } from './upstream-errors.ts';

/** Received bytes are told of whenever so many more have come. */
const countEveryBytes = 1024 * 1024;

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
  #onClosed: (() => void)[] = [];
  #onCounted: ((bytes: number) => void) | undefined;
  #countedBytes = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Body bytes taken from the connection so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Calls back once nothing more will come, at once if that is so already. */
  onClosed(callback: () => void): void {
    if (this.#open) this.#onClosed.push(callback);
    else callback();
  }

  /** Tells how many bytes came since it last did: now and then, so that a rate shows, and when nothing more will come. */
  countWith(callback: (bytes: number) => void): void {
    this.#onCounted = callback;
    if (!this.#open) this.#count();
  }

  /** No more than these many bytes are handed out. Before the first read, as `expect`. */
  limit(bytes: number): void {
    this.#limitBytes = bytes;
  }

  /** The body is these many bytes: fewer are an interruption, more are never handed out. */
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
      this.#wire.pause();
    }
  }

  complete(): void {
    if (!this.#open) return;
    this.#close();
    this.#settleWaiter();
  }

  /** The connection failed, or the wait for it was aborted: `drop` also forgets what the reader has not had yet. */
  fail(error: AppError, drop = false): void {
    if (!this.#open) return;
    if (drop) this.#drop();
    this.#error = error;
    this.#close();
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
    const missing = this.#exact && (this.#limitBytes ?? 0) > 0;
    const error = this.#error ?? (missing ? interruptedError(this.#wire.context) : undefined);
    if (error === undefined || this.#finished) return waiter.resolve({ done: true, value: undefined });
    this.#finished = true;
    waiter.reject(error);
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
    this.#wire.resume();
  }

  #cut(): void {
    if (!this.#open) return;
    this.#close();
    this.#settleWaiter();
    this.#wire.abort(new AppError('CANCELLED', 'the body is not wanted any more'));
  }

  #close(): void {
    this.#open = false;
    this.#stallTimer?.clear();
    this.#stallTimer = undefined;
    this.#count();
    for (const callback of this.#onClosed.splice(0)) callback();
  }

  #count(): void {
    const bytes = this.#receivedBytes - this.#countedBytes;
    if (this.#onCounted === undefined || bytes === 0) return;
    this.#countedBytes = this.#receivedBytes;
    this.#onCounted(bytes);
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
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}
