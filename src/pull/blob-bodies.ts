import type { Interval } from '../core/byte-range.ts';
import { AppError } from '../core/errors.ts';
import { abandonable } from '../core/shared-calls.ts';
import type { FlightReader } from '../flights/flight-reader.ts';
import type { PassReader } from '../flights/passing/pass-reader.ts';
import type { StoredBlob } from '../store/content-store.ts';
import type { BlobStorage } from './depot.ts';

/** Where a response's body is read from at a time. */
export type Leg =
  | { readonly kind: 'stored'; readonly reader: StoredReader }
  | { readonly kind: 'flight'; readonly reader: FlightReader }
  | { readonly kind: 'pass'; readonly reader: PassReader };

/**
 * One response reading committed content: all of it is there. Where it is not known to be undamaged, the last bytes of the
 * blob are held back until that is proven, so that no body completes with damaged bytes (P4).
 */
export class StoredReader {
  readonly sizeBytes: number;
  readonly storage: BlobStorage;
  readonly #blob: StoredBlob;
  readonly #holdBackBytes: number;
  #range: Interval | undefined;
  #isProven: boolean;
  #failure: AppError | undefined;

  constructor(blob: StoredBlob, range: Interval | undefined, holdBackBytes: number) {
    this.#blob = blob;
    this.#range = range;
    this.#holdBackBytes = holdBackBytes;
    this.sizeBytes = blob.sizeBytes;
    this.storage = { ...blob.view, sizeBytes: blob.sizeBytes };
    this.#isProven = blob.proof === undefined;
    blob.proof?.then(
      () => {
        this.#isProven = true;
      },
      (cause) => {
        this.#failure = new AppError('STORAGE_FAILED', 'the blob was damaged on disk', { cause, retryAfterMs: 1000 });
      },
    );
  }

  get start(): number {
    return this.#range?.start ?? 0;
  }

  get end(): number {
    return this.#range?.end ?? this.sizeBytes;
  }

  readableTo(offset: number): number {
    if (this.#failure !== undefined) throw this.#failure;
    return Math.max(offset, Math.min(this.end, this.#heldFrom));
  }

  async whenReadable(offset: number, signal: AbortSignal): Promise<number> {
    const to = this.readableTo(offset);
    if (to > offset || (offset >= this.end && this.end <= this.#heldFrom)) return to;
    this.#blob.hurry();
    // Its rejection is the failure that `readableTo` throws.
    await abandonable(this.#blob.proof ?? Promise.resolve(), signal).catch(() => signal.throwIfAborted());
    return this.readableTo(offset);
  }

  get #heldFrom(): number {
    return this.#isProven ? this.sizeBytes : this.sizeBytes - this.#holdBackBytes;
  }

  async whenSized(): Promise<number> {
    return this.sizeBytes;
  }

  setRange(range: Interval): void {
    this.#range = range;
  }

  close(): void {
    this.#blob.close();
  }
}
