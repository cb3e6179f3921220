import type { Interval } from '../../core/byte-range.ts';
import { AppError } from '../../core/errors.ts';
import type { FillMark } from '../../core/fill-mark.ts';
import type { SharedUse } from '../../core/shared-use.ts';
import type { BlobBody, BlobLease, BlobStorage } from '../../pull/depot.ts';

/** A body of the depot's own, of the leased file, for the same request. */
type GoOn = (signal: AbortSignal) => Promise<BlobBody>;

/**
 * One response's view of leased content: all of it is there. Where it turns out not to be, the depot has a body of the same
 * file take over, as if it had been read from the start, and that one knows how to go on: whatever became of the file
 * meanwhile, what the client had of it is there to be vouched for (P4).
 *
 * Invariants: the use was entered before, and is left exactly once: by `close`, or when the depot's body, which holds the
 * file itself, has taken over. Until then the descriptor is the file's. Nobody reads of it while `unreadable` runs. `close`
 * may come at any time, also while the depot is asked: then what it gives is closed as soon as it is there.
 */
export class LeasedBody implements BlobBody {
  readonly #use: SharedUse;
  readonly #start: number;
  readonly #end: number;
  readonly #goOn: GoOn;
  readonly #storage: BlobStorage;
  #other: BlobBody | undefined;
  #left = false;
  #closed = false;

  constructor({ fd, fileId, sizeBytes }: BlobLease, use: SharedUse, part: Interval | undefined, goOn: GoOn) {
    this.#use = use;
    this.#start = part?.start ?? 0;
    this.#end = part?.end ?? sizeBytes;
    this.#goOn = goOn;
    this.#storage = { kind: 'file', fd, fileId, sizeBytes };
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
    const other = this.#other ?? (await this.#handOver(signal));
    return other.unreadable(offset, error, signal);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#other?.close();
    this.#leave();
  }

  async #handOver(signal: AbortSignal): Promise<BlobBody> {
    const body = await this.#goOn(signal);
    if (this.#closed) {
      body.close();
      throw new AppError('CANCELLED', 'the body was closed');
    }
    this.#other = body;
    this.#leave();
    return body;
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#use.leave();
  }
}
