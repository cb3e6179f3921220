import type { Interval } from '../../core/byte-range.ts';
import { AppError } from '../../core/errors.ts';
import type { FillMark } from '../../core/fill-mark.ts';
import type { SharedUse } from '../../core/shared-use.ts';
import type { BlobBody, BlobLease, BlobStorage } from '../../pull/depot.ts';

/**
 * One response's view of leased content: all of it is there. Where it turns out not to be, the depot is told, and the body
 * goes on with what the depot has instead.
 *
 * Invariants: the use was entered before, and is left exactly once: by `close`, or when the body has gone on elsewhere.
 * Until then the descriptor is the file's. Nobody reads of it while `unreadable` runs. `close` may come at any time, also
 * while the depot is asked: then what it gives is closed as soon as it is there.
 */
export class LeasedBody implements BlobBody {
  readonly #lease: BlobLease;
  readonly #use: SharedUse;
  readonly #start: number;
  readonly #end: number;
  readonly #askAnew: (signal: AbortSignal) => Promise<{ body: BlobBody; sizeBytes: number | undefined }>;
  readonly #storage: BlobStorage;
  #other: BlobBody | undefined;
  #left = false;
  #closed = false;

  /** `askAnew`: gets a body of the depot's own for the same request. */
  constructor(
    lease: BlobLease,
    use: SharedUse,
    part: Interval | undefined,
    askAnew: (signal: AbortSignal) => Promise<{ body: BlobBody; sizeBytes: number | undefined }>,
  ) {
    this.#lease = lease;
    this.#use = use;
    this.#start = part?.start ?? 0;
    this.#end = part?.end ?? lease.sizeBytes;
    this.#askAnew = askAnew;
    this.#storage = { kind: 'file', fd: lease.fd, fileId: lease.fileId, sizeBytes: lease.sizeBytes };
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  get storage(): BlobStorage {
    return this.#other === undefined ? this.#storage : this.#other.storage;
  }

  get mark(): FillMark | undefined {
    return this.#other?.mark;
  }

  readableTo(offset: number): number {
    return this.#other === undefined ? Math.max(offset, this.#end) : this.#other.readableTo(offset);
  }

  whenReadable(offset: number, signal: AbortSignal): Promise<number> {
    return this.#other === undefined
      ? Promise.resolve(this.readableTo(offset))
      : this.#other.whenReadable(offset, signal);
  }

  async unreadable(offset: number, error: AppError, signal: AbortSignal): Promise<void> {
    if (this.#other !== undefined) return this.#other.unreadable(offset, error, signal);
    const other = await this.#goOn(offset, error, signal);
    if (this.#closed) {
      other.close();
      throw new AppError('CANCELLED', 'the body was closed');
    }
    this.#other = other;
    this.#leave();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#other?.close();
    this.#leave();
  }

  async #goOn(offset: number, error: AppError, signal: AbortSignal): Promise<BlobBody> {
    const { body, sizeBytes } = await this.#askAnew(signal);
    try {
      if (sizeBytes !== undefined && sizeBytes !== this.#lease.sizeBytes) {
        const message = `the blob has ${sizeBytes} bytes, not ${this.#lease.sizeBytes} as announced`;
        throw new AppError('CONTENT_MISMATCH', message);
      }
      if (this.#isSameFile(body)) await body.unreadable(offset, error, signal);
      // Somebody else has noticed, and it comes from elsewhere now: what was read here before cannot be vouched for (P4).
      else if (offset > this.#start) throw error;
      return body;
    } catch (failure) {
      body.close();
      throw failure;
    }
  }

  /** Whether the depot reads of what could not be read here. */
  #isSameFile({ storage }: BlobBody): boolean {
    return storage.kind === 'file' && (storage.fileId === undefined || storage.fileId === this.#lease.fileId);
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#use.leave();
  }
}
