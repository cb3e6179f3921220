import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Interval } from '../../core/byte-range.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import type { BlobBody, BlobStorage } from '../../pull/depot.ts';

interface Waiter {
  readonly offset: number;
  readonly until: number;
  resolve(readable: number): void;
  reject(error: unknown): void;
}

/** A blob in a file that a test fills, ends and breaks at will, and every view of it that was opened. */
export class TestContent implements Disposable {
  readonly bytes: Buffer;
  readonly digest: Digest;
  /** Whether the size is told from the start. */
  readonly sizeKnown: boolean;
  /** How often each view was closed, in the order they were opened. */
  readonly closes: number[] = [];
  readonly fd: number;
  /** Makes what cannot be read readable. Without it the read's failure is the body's. */
  whenUnreadable: (() => Promise<void> | void) | undefined;
  /** What is there is read as from a window. */
  isPassing = false;
  /** The number of its file: then it may be served from shared blocks. */
  fileId: number | undefined;
  /** Its file is told to be all there, where it is. */
  isFile = false;
  readonly #waiters = new Set<Waiter>();
  #filled = 0;
  #ended = false;
  #failure: Error | undefined;

  constructor(bytes: Buffer, { filled = bytes.length, sizeKnown = true } = {}) {
    this.bytes = bytes;
    this.sizeKnown = sizeKnown;
    this.digest = digestOf(bytes);
    const folder = mkdtempSync(join(tmpdir(), 'gateway-test-'));
    this.fd = openSync(join(folder, 'blob'), 'w+');
    rmSync(folder, { recursive: true });
    this.grow(filled);
  }

  get sizeBytes(): number | undefined {
    return this.sizeKnown ? this.bytes.length : undefined;
  }

  /** How many reads wait for bytes. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Lets `count` more bytes arrive; with the last one the content is complete. */
  grow(count: number): void {
    writeSync(this.fd, this.bytes, this.#filled, count, this.#filled);
    this.#filled += count;
    this.#ended = this.#filled === this.bytes.length;
    for (const waiter of [...this.#waiters]) this.#wake(waiter);
  }

  finish(): void {
    this.grow(this.bytes.length - this.#filled);
  }

  fail(error: Error): void {
    this.#failure = error;
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }

  /** Makes the file shorter than what it is said to have. */
  truncate(sizeBytes: number): void {
    ftruncateSync(this.fd, sizeBytes);
  }

  /** Gives the file back what was cut off. */
  restore(): void {
    writeSync(this.fd, this.bytes, 0, this.#filled, 0);
  }

  read(offset: number, into: Uint8Array): number {
    into.set(this.bytes.subarray(offset, offset + into.length));
    return Math.min(into.length, this.#filled - offset);
  }

  body(part?: Interval): BlobBody {
    const view = this.closes.push(0) - 1;
    const end = part?.end ?? this.sizeBytes;
    const until = end ?? Number.POSITIVE_INFINITY;
    const storage = (): BlobStorage => {
      if (this.isPassing) return { kind: 'window', window: this };
      const size = this.isFile && this.#ended ? { sizeBytes: this.bytes.length } : {};
      return { kind: 'file', fd: this.fd, ...(this.fileId !== undefined && { fileId: this.fileId }), ...size };
    };
    return {
      start: part?.start ?? 0,
      end,
      get storage() {
        return storage();
      },
      readableTo: (offset) => this.#readableTo(offset, until),
      whenReadable: (offset, signal) => this.#whenReadable(offset, until, signal),
      unreadable: async (_offset, error) => {
        if (this.whenUnreadable === undefined) throw error;
        await this.whenUnreadable();
      },
      close: () => {
        fstatSync(this.fd);
        this.closes[view] = (this.closes[view] ?? 0) + 1;
      },
    };
  }

  #readableTo(offset: number, until: number): number {
    if (this.#failure !== undefined) throw this.#failure;
    return Math.max(offset, Math.min(this.#filled, until));
  }

  #whenReadable(offset: number, until: number, signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      const leave = () => waiter.reject(signal.reason);
      const settled = () => {
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', leave);
      };
      const waiter: Waiter = {
        offset,
        until,
        resolve: (readable) => {
          settled();
          resolve(readable);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', leave);
      if (signal.aborted) leave();
      else if (this.#failure !== undefined) waiter.reject(this.#failure);
      else this.#wake(waiter);
    });
  }

  #wake(waiter: Waiter): void {
    const readable = this.#readableTo(waiter.offset, waiter.until);
    if (readable > waiter.offset || this.#ended) waiter.resolve(readable);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
