import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { BlobBody, BlobStorage } from '../pull/depot.ts';
import type { BlockReads, PinnedBlock } from './blocks/block-reads.ts';
import type { ClientPace } from './client-pace.ts';
import type { LentBlock, SharedReads } from './shared-reads.ts';

/** The response as the byte path needs it. */
export interface BodyTarget {
  /** What is known of how quickly the client takes what it is sent. */
  readonly pace: ClientPace;
  /** The most that is handed to the socket at once; left out: no less than a shared block. */
  readonly mostBytes?: number | undefined;
  /** Aborts when the client has left or must not wait any longer. */
  readonly signal: AbortSignal;
  /** Sends the status line and headers; `alone` where no byte follows at once. Called once, before the first byte. */
  begin(alone: boolean): void;
  /**
   * Hands a block to the socket. `taken` is called later, once, in every case, when the socket refers to the block no more:
   * with an error where the client has left.
   */
  write(block: Uint8Array, taken: (error?: Error | null) => void): void;
  /** Ends the response, complete. */
  end(): void;
}

export interface BodyWriterDeps {
  readonly reads: SharedReads;
  /** Undefined: there are none, and every byte is read for the answer that needs it. */
  readonly blocks?: BlockReads | undefined;
  readonly clock: Clock;
}

/** For a client of which nothing is known yet, or that is slow. */
const smallestBlockBytes = 32 * 1024;
/** For one that has not shown yet that it takes more than kernels hold for it. */
const largestBlockBytes = 256 * 1024;

type FileStorage = Extract<BlobStorage, { kind: 'file' }>;
type State = 'ready' | 'waiting' | 'reading' | 'writing' | 'done';

/**
 * Sends one `BlobBody` to one client, at that client's pace.
 *
 * Invariants: at any time the writer waits for exactly one thing (bytes that are not there yet, the disk, or the socket),
 * and `#state` says which. It holds at most one block, from the read until the socket has taken it; that the next read
 * waits for this is the back pressure, and why a client is never read ahead of by more than a block. A quick client is
 * written what is left of a shared block, which is there already or is read for all who want it; one that takes long gets
 * small blocks of its own, so that thousands of them hold little, and pins none that are shared.
 * Ends in one place, `#settle`: with an error the response is left unfinished, for the caller to render or to cut. The
 * body is closed once, never while the disk reads from it. Cancellation is the target's signal. A block that the socket
 * has been handed is released when the socket says so, also after the end: a block that changes while it is being sent
 * would put one client's bytes into another's answer.
 */
export class BodyWriter {
  readonly #deps: BodyWriterDeps;
  readonly #target: BodyTarget;
  readonly #body: BlobBody;
  readonly #blobBytes: number | undefined;
  readonly #settled = Promise.withResolvers<void>();
  #state: State = 'ready';
  #offset: number;
  #begun = false;
  #failure: unknown;
  #block: LentBlock | PinnedBlock | undefined;
  #wantedBytes = 0;
  #sentBytes = 0;
  #handedMs = 0;

  /** `blobBytes`: the size of the whole blob, where it is known. */
  constructor(deps: BodyWriterDeps, target: BodyTarget, body: BlobBody, blobBytes?: number) {
    this.#blobBytes = blobBytes;
    this.#deps = deps;
    this.#target = target;
    this.#body = body;
    this.#offset = body.start;
  }

  /** Resolves when all is sent and the response ended; rejects with what prevented it. Then the body is closed. */
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
    const { mostBytes = Number.POSITIVE_INFINITY } = this.#target;
    const bytes = Math.min(readable - offset, (this.#body.end ?? readable) - offset, mostBytes);
    const { storage } = this.#body;
    if (storage.kind === 'memory') {
      return this.#write(storage.bytes.subarray(offset, offset + Math.min(bytes, largestBlockBytes)));
    }
    if (storage.kind === 'window') {
      const block = this.#deps.reads.copy(storage.window, offset, Math.min(bytes, this.#ownBlockBytes));
      this.#block = block;
      if (block.bytes.length > 0) return this.#write(block.bytes);
      this.#letGo();
      return this.#wait();
    }
    this.#wantedBytes = bytes;
    if (!this.#fetchBlock(storage)) this.#read(storage.fd);
  }

  /** What is left of a shared block; false where there is none to be had. */
  #fetchBlock(storage: FileStorage): boolean {
    const { blocks } = this.#deps;
    const { fd, fileId } = storage;
    const { pace } = this.#target.pace;
    if (blocks === undefined || fileId === undefined || pace === 'slow') return false;
    const offset = this.#offset;
    const found = blocks.find(fileId, offset, pace === 'quick');
    if (found !== undefined) return this.#writeOf(found);
    const bytes = this.#bytesOfBlock(storage, offset - (offset % blocks.blockBytes), blocks.blockBytes);
    if (!blocks.read(fd, fileId, offset, bytes, pace === 'quick', this.#onBlock)) return false;
    this.#state = 'reading';
    return true;
  }

  /** How long the block is that begins at `start`; 0 where not all of it is there. */
  #bytesOfBlock({ sizeBytes }: FileStorage, start: number, blockBytes: number): number {
    if (sizeBytes !== undefined) return Math.min(blockBytes, sizeBytes - start);
    const bytes = Math.min(blockBytes, (this.#blobBytes ?? Number.POSITIVE_INFINITY) - start);
    const body = this.#body;
    return (body.mark ?? body).readableTo(start) >= start + bytes ? bytes : 0;
  }

  #writeOf(block: PinnedBlock): boolean {
    this.#block = block;
    const mostBytes = this.#target.pace.pace === 'quick' ? this.#wantedBytes : largestBlockBytes;
    const bytes = block.from(this.#offset, Math.min(mostBytes, this.#wantedBytes));
    if (bytes.length > 0) this.#write(bytes);
    else this.#letGo();
    return bytes.length > 0;
  }

  readonly #onBlock = (block: PinnedBlock | undefined): void => {
    if (this.#state === 'done') {
      this.#block = block;
      return this.#release();
    }
    this.#state = 'ready';
    try {
      const { storage } = this.#body;
      if (block !== undefined && this.#writeOf(block)) return;
      if (storage.kind === 'file') this.#read(storage.fd);
      else this.#next();
    } catch (failure) {
      this.#settle(failure);
    }
  };

  /** Reads for this answer, and for those that want the same at the same moment. */
  #read(fd: number): void {
    this.#state = 'reading';
    this.#deps.reads.read(fd, this.#offset, Math.min(this.#wantedBytes, this.#ownBlockBytes), this.#onRead);
  }

  get #ownBlockBytes(): number {
    const { pace, isUntried } = this.#target.pace;
    return pace === 'slow' || isUntried ? smallestBlockBytes : largestBlockBytes;
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
    this.#letGo();
    this.#state = 'waiting';
    const message = cause === null ? 'the blob on disk is shorter than it says' : 'cannot read the blob from disk';
    const failure = new AppError('STORAGE_FAILED', message, { cause });
    this.#body.unreadable(this.#offset, failure, this.#target.signal).then(this.#onHealed, this.#onFailed);
  }

  readonly #onHealed = (): void => {
    if (this.#state === 'waiting') this.#next();
  };

  #write(bytes: Uint8Array): void {
    this.#begin(false);
    this.#sentBytes = bytes.length;
    this.#handedMs = this.#deps.clock.monotonic();
    this.#state = 'writing';
    this.#target.write(bytes, this.#onTaken);
  }

  readonly #onTaken = (error?: Error | null): void => {
    this.#letGo();
    if (this.#state !== 'writing') return;
    if (error) return this.#settle(error);
    this.#offset += this.#sentBytes;
    this.#target.pace.took(this.#sentBytes, this.#deps.clock.monotonic() - this.#handedMs);
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
    // While the disk reads, the descriptor stays: the read's end releases it, and the block.
    if (state === 'reading') return;
    // What the socket was handed is released once it is taken; the file is not needed for that.
    if (state !== 'writing') this.#letGo();
    this.#close();
  }

  #letGo(): void {
    this.#block?.release();
    this.#block = undefined;
  }

  #release(): void {
    this.#letGo();
    this.#close();
  }

  #close(): void {
    this.#body.close();
    if (this.#failure === undefined) this.#settled.resolve();
    else this.#settled.reject(this.#failure);
  }
}
