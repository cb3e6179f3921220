import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { BlobBody } from '../pull/depot.ts';
import type { LentBlock, SharedReads } from './shared-reads.ts';

/** The response as the byte path needs it. */
export interface BodyTarget {
  /** Aborts when the client has left or must not wait any longer. */
  readonly signal: AbortSignal;
  /** Sends the status line and headers; `alone` where no byte follows at once. Called once, before the first byte. */
  begin(alone: boolean): void;
  /** Hands a block to the socket. `taken` is called when the socket needs the block no more, or never. */
  write(block: Uint8Array, taken: (error?: Error | null) => void): void;
  /** Ends the response, complete. */
  end(): void;
}

export interface BodyWriterDeps {
  readonly reads: SharedReads;
  readonly clock: Clock;
}

/** A block that the socket took faster than this was no load on it: the next one may be large. */
const quickMs = 20;
const smallestBlockBytes = 32 * 1024;
const largestBlockBytes = 256 * 1024;

type State = 'ready' | 'waiting' | 'reading' | 'writing' | 'done';

/**
 * Sends one `BlobBody` to one client, at that client's pace.
 *
 * Invariants: at any time the writer waits for exactly one thing (bytes that are not there yet, the disk, or the socket),
 * and `#state` says which. It holds at most one block, from the read until the socket has taken it; that the next read
 * waits for this is the back pressure, and why a client is never read ahead of by more than a block. A client that takes
 * long gets small blocks, so that thousands of them hold little.
 * Ends in one place, `#settle`: with an error the response is left unfinished, for the caller to render or to cut. The
 * body is closed once, never while the disk reads from it. Cancellation is the target's signal.
 */
export class BodyWriter {
  readonly #deps: BodyWriterDeps;
  readonly #target: BodyTarget;
  readonly #body: BlobBody;
  readonly #settled = Promise.withResolvers<void>();
  #state: State = 'ready';
  #offset: number;
  #begun = false;
  #failure: unknown;
  #block: LentBlock | undefined;
  #blockBytes = smallestBlockBytes;
  #sentBytes = 0;
  #handedMs = 0;

  constructor(deps: BodyWriterDeps, target: BodyTarget, body: BlobBody) {
    this.#deps = deps;
    this.#target = target;
    this.#body = body;
    this.#offset = body.start;
  }

  /** Resolves when all is sent and the response ended; rejects with what prevented it. Nothing is held any more then. */
  run(): Promise<void> {
    const { signal } = this.#target;
    if (signal.aborted) this.#settle(signal.reason);
    else {
      signal.addEventListener('abort', this.#onAbort, { once: true });
      // A body without a byte has nothing to wait for but the word that this is right.
      if (this.#body.end === this.#offset) this.#wait();
      else this.#next();
    }
    return this.#settled.promise;
  }

  /** Sends the headers now, although no byte is there yet. */
  beginNow(): void {
    if (this.#state === 'done') return;
    try {
      this.#begin(true);
    } catch (error) {
      this.#settle(error);
    }
  }

  #begin(alone: boolean): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#target.begin(alone);
  }

  #next(): void {
    this.#state = 'ready';
    try {
      const offset = this.#offset;
      if (offset === this.#body.end) return this.#finish();
      const readable = this.#body.readableTo(offset);
      if (readable > offset) this.#fetch(readable);
      else this.#wait();
    } catch (error) {
      this.#settle(error);
    }
  }

  #wait(): void {
    this.#state = 'waiting';
    this.#body.whenReadable(this.#offset, this.#target.signal).then(this.#onReadable, this.#onFailed);
  }

  readonly #onReadable = (readable: number): void => {
    if (this.#state === 'done') return;
    this.#state = 'ready';
    try {
      const { end } = this.#body;
      if (readable > this.#offset) this.#fetch(readable);
      else if (end === undefined || end === this.#offset) this.#finish();
      else this.#settle(new AppError('UPSTREAM_INTERRUPTED', `the body ended at byte ${this.#offset} of ${end}`));
    } catch (error) {
      this.#settle(error);
    }
  };

  readonly #onFailed = (error: unknown): void => this.#settle(error);

  /** Gets the bytes between the offset and `readable`, as many as fit a block. */
  #fetch(readable: number): void {
    const offset = this.#offset;
    const bytes = Math.min(readable, this.#body.end ?? readable) - offset;
    const { storage } = this.#body;
    if (storage.kind === 'memory') {
      return this.#write(storage.bytes.subarray(offset, offset + Math.min(bytes, largestBlockBytes)));
    }
    if (storage.kind === 'window') {
      this.#block = this.#deps.reads.copy(storage.window, offset, Math.min(bytes, this.#blockBytes));
      if (this.#block.bytes.length > 0) return this.#write(this.#block.bytes);
      this.#letGo(false);
      return this.#wait();
    }
    this.#state = 'reading';
    this.#deps.reads.read(storage.fd, offset, Math.min(bytes, this.#blockBytes), this.#onRead);
  }

  readonly #onRead = (error: Error | null, block: LentBlock | undefined): void => {
    this.#block = block;
    if (this.#state === 'done') return this.#release();
    this.#state = 'ready';
    const bytes = block?.bytes;
    if (bytes === undefined || bytes.length === 0) return this.#onUnread(error);
    try {
      this.#write(bytes);
    } catch (failure) {
      this.#settle(failure);
    }
  };

  /** What should be there cannot be read: perhaps the body has it from elsewhere. */
  #onUnread(cause: Error | null): void {
    this.#letGo(false);
    this.#state = 'waiting';
    const message = cause === null ? 'the blob on disk is shorter than it says' : 'cannot read the blob from disk';
    const failure = new AppError('STORAGE_FAILED', message, { cause });
    this.#body.unreadable(this.#offset, failure, this.#target.signal).then(this.#onHealed, this.#onFailed);
  }

  readonly #onHealed = (): void => {
    if (this.#state === 'waiting') this.#next();
  };

  #write(bytes: Uint8Array): void {
    this.#state = 'writing';
    this.#sentBytes = bytes.length;
    this.#handedMs = this.#deps.clock.monotonic();
    this.#begin(false);
    this.#target.write(bytes, this.#onTaken);
  }

  readonly #onTaken = (error?: Error | null): void => {
    if (this.#state !== 'writing') return;
    if (error) return this.#settle(error);
    this.#letGo(false);
    this.#offset += this.#sentBytes;
    const quick = this.#deps.clock.monotonic() - this.#handedMs < quickMs;
    this.#blockBytes = quick ? largestBlockBytes : smallestBlockBytes;
    this.#next();
  };

  #finish(): void {
    this.#begin(false);
    this.#target.end();
    this.#settle(undefined);
  }

  readonly #onAbort = (): void => this.#settle(this.#target.signal.reason);

  #settle(failure: unknown): void {
    if (this.#state === 'done') return;
    const state = this.#state;
    this.#state = 'done';
    this.#failure = failure;
    this.#target.signal.removeEventListener('abort', this.#onAbort);
    // The socket may refer to the block for as long as it lives.
    if (state === 'writing') this.#letGo(true);
    // While the disk reads, the descriptor stays: #onRead releases it, and the block.
    if (state !== 'reading') this.#release();
  }

  #letGo(spoiled: boolean): void {
    this.#block?.release(spoiled);
    this.#block = undefined;
  }

  #release(): void {
    this.#letGo(false);
    this.#body.close();
    if (this.#failure === undefined) this.#settled.resolve();
    else this.#settled.reject(this.#failure);
  }
}
