import { AppError } from '../../core/errors.ts';
import type { BlobBody, BlobStorage } from '../../pull/depot.ts';
import type { FillSleeper, FillWatch } from './fill-watch.ts';
import type { BodyState, SharedPart } from './messages.ts';

/** What a body needs of the way to the depot. */
export interface BodyLine {
  /** Asks the real body; resolves with how it is at `offset`. */
  readable(body: number, offset: number, maxBytes: number, signal: AbortSignal): Promise<BodyState>;
  unreadable(body: number, offset: number, error: AppError, signal: AbortSignal): Promise<BodyState>;
  close(body: number): void;
  /** The watch over a fill, shared by all who follow it here, until `leave`. */
  watch(part: SharedPart): FillWatch;
  leave(part: SharedPart): void;
  /** The same object for the same memory, or it would be counted once for each who has it. */
  memory(part: SharedPart): SharedArrayBuffer;
  now(): number;
}

/** Of a window so much is asked for at a time: little where it was not taken quickly. */
const slowBytes = 32 * 1024;
const quickBytes = 256 * 1024;
const quickMs = 50;

/**
 * A body that lives in the depot's thread.
 *
 * Invariants
 * - Where it follows a fill, the mark in shared memory says how far it may be read, with no message, until it is over; also
 *   once all is verified. Where the mark gives nothing (its end, the end of the fill, where more is there than it lists) only
 *   the real body knows how it goes on.
 * - Without a mark, what the latest answer said is readable: [from, readable) of the storage that came with it.
 * - At most one call to the real body is under way, as there is one `whenReadable` or `unreadable` here at a time.
 * - `close` tells the real body once, in every case; the thread's end closes it as well.
 */
export class RemoteBody implements BlobBody, FillSleeper {
  /** Its number. */
  readonly body: number;
  readonly #line: BodyLine;
  #state: BodyState;
  #storage: BlobStorage | undefined;
  #watch: FillWatch | undefined;
  #watched: SharedPart | undefined;
  #asleep: PromiseWithResolvers<void> | undefined;
  #sleepsAt = 0;
  #signal: AbortSignal | undefined;
  #answeredMs = 0;
  #closed = false;

  constructor(line: BodyLine, id: number, state: BodyState) {
    this.#line = line;
    this.body = id;
    this.#state = state;
    this.#take(state);
  }

  get start(): number {
    return this.#state.start;
  }

  get end(): number | undefined {
    return this.#state.end;
  }

  get storage(): BlobStorage {
    if (this.#storage === undefined) throw new Error('nothing is readable yet');
    return this.#storage;
  }

  readableTo(offset: number): number {
    const watch = this.#watch;
    if (watch === undefined) {
      const { from, readable } = this.#state;
      return offset >= from ? Math.max(offset, readable) : offset;
    }
    const { mark } = watch;
    // What it has failed of, or how it goes on, the real body says.
    if (mark.isOver && !mark.isVerified) return offset;
    return Math.max(offset, Math.min(mark.readableTo(offset), this.end ?? offset));
  }

  async whenReadable(offset: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      signal.throwIfAborted();
      const readable = this.readableTo(offset);
      if (readable > offset) return readable;
      const watch = this.#watch;
      const isAtEnd = this.end !== undefined && offset >= this.end;
      if (watch === undefined || isAtEnd || !watch.tells(offset)) break;
      await this.#sleep(watch, offset, signal);
    }
    const quick = this.#line.now() - this.#answeredMs < quickMs;
    const state = await this.#line.readable(this.body, offset, quick ? quickBytes : slowBytes, signal);
    this.#answeredMs = this.#line.now();
    this.#take(state);
    return state.readable;
  }

  async unreadable(offset: number, error: AppError, signal: AbortSignal): Promise<void> {
    this.#take(await this.#line.unreadable(this.body, offset, error, signal));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endSleep(new AppError('CANCELLED', 'the body was closed'));
    this.#listenTo(undefined);
    this.#follow(undefined);
    this.#line.close(this.body);
  }

  // --- FillSleeper -------------------------------------------------------------------------------------------------

  /** Where it sleeps. */
  get offset(): number {
    return this.#sleepsAt;
  }

  wake(): void {
    const sleep = this.#asleep;
    this.#asleep = undefined;
    sleep?.resolve();
  }

  #sleep(watch: FillWatch, offset: number, signal: AbortSignal): Promise<void> {
    this.#listenTo(signal);
    this.#sleepsAt = offset;
    const asleep = Promise.withResolvers<void>();
    this.#asleep = asleep;
    watch.add(this);
    return asleep.promise;
  }

  #endSleep(reason: unknown): void {
    const sleep = this.#asleep;
    if (sleep === undefined) return;
    this.#asleep = undefined;
    this.#watch?.delete(this);
    sleep.reject(reason);
  }

  /** A response uses the same signal for all its waits. */
  #listenTo(signal: AbortSignal | undefined): void {
    if (signal === this.#signal) return;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.#endSleep(this.#signal?.reason);

  #take(state: BodyState): void {
    this.#state = state;
    if (this.#closed) return;
    this.#follow(state.mark);
    if (state.storage === undefined) return;
    this.#storage = storageOf(this.#line, state);
  }

  #follow(part: SharedPart | undefined): void {
    const watched = this.#watched;
    if (watched?.id === part?.id) return;
    this.#watched = part;
    this.#watch = part === undefined ? undefined : this.#line.watch(part);
    if (watched !== undefined) this.#line.leave(watched);
  }
}

function storageOf(line: BodyLine, { storage, from }: BodyState): BlobStorage | undefined {
  switch (storage?.kind) {
    case undefined:
      return undefined;
    case 'file': {
      const { fd, fileId, sizeBytes } = storage;
      return {
        kind: 'file',
        fd,
        ...(fileId !== undefined && { fileId }),
        ...(sizeBytes !== undefined && { sizeBytes }),
      };
    }
    case 'shared': {
      const { memory, start, length } = storage;
      return { kind: 'memory', bytes: new Uint8Array(line.memory(memory), start, length) };
    }
    case 'bytes': {
      const { bytes } = storage;
      return {
        kind: 'window',
        window: {
          read(offset, into) {
            const part = bytes.subarray(offset - from, offset - from + into.length);
            into.set(part);
            return part.length;
          },
        },
      };
    }
  }
}
