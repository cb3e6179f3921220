import type { Interval } from '../../core/byte-range.ts';
import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Channels, PassThroughEvent } from '../../telemetry/channels.ts';
import type { FlightSnapshot } from '../flight-snapshot.ts';
import type { RetryPolicy, Source } from '../source.ts';
import { PassMemory, type PassMemoryOptions } from './pass-memory.ts';
import type { HandedOut, PassReader } from './pass-reader.ts';
import { PassingBlob, type PassingBlobOptions } from './passing-blob.ts';

export interface PassingTableDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly retry: RetryPolicy;
}

export interface PassingTableOptions extends PassingBlobOptions, PassMemoryOptions {}

export interface PassRequest {
  readonly digest: Digest;
  /** What the client was told, or a manifest says. */
  readonly sizeBytes: number | undefined;
  /** Where the content can be had on this reader's behalf. The caller has checked that it may read it (P9). */
  readonly sources: readonly Source[];
  /** Why the disk does not take it. */
  readonly cause: PassThroughEvent['cause'];
  /** The part wanted, where the size is known; otherwise the reader's `setRange`. */
  readonly range: Interval | undefined;
  /** What the client has of it already. */
  readonly handed: HandedOut | undefined;
}

export interface PassJoined {
  /** Must be closed by the caller in every case. */
  readonly reader: PassReader;
  /** It is the first one. */
  readonly led: boolean;
  /** Resolves if a pass of this blob ends without what its readers needed. */
  readonly failed: Promise<AppError>;
}

const endedShown = 100;

/**
 * The blobs of this node that are streamed through memory, because the disk cannot take them.
 *
 * Invariants: a blob is in the table as long as it has readers; nothing of it is left afterwards, on disk never anything.
 * All passes together hold no more than `totalBytes` (P8).
 */
export class PassingTable implements AsyncDisposable {
  readonly #deps: PassingTableDeps;
  readonly #options: PassingTableOptions;
  readonly #memory: PassMemory;
  readonly #blobs = new Map<Digest, PassingBlob>();
  readonly #ended: FlightSnapshot[] = [];
  #closed = false;

  constructor(deps: PassingTableDeps, options: PassingTableOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#memory = new PassMemory(options);
  }

  /** Whether there is any memory for it. */
  get isOn(): boolean {
    return this.#memory.isOn;
  }

  /** So many bytes at a blob's end are held back until it is verified. */
  get holdBackBytes(): number {
    return this.#options.holdBackBytes;
  }

  get size(): number {
    return this.#blobs.size;
  }

  get memoryBytes(): number {
    return this.#memory.grantedBytes;
  }

  /** Has a reader follow the blob. Throws OVERLOADED where no more fit at once, and SHUTTING_DOWN. */
  join(request: PassRequest): PassJoined {
    if (this.#closed) throw new AppError('SHUTTING_DOWN', 'onepull is shutting down', { retryAfterMs: 1000 });
    const { digest, sizeBytes, sources, cause, range, handed } = request;
    const known = this.#blobs.get(digest);
    const blob = known ?? new PassingBlob({ ...this.#deps, memory: this.#memory }, this.#options, request, this.#left);
    this.#blobs.set(digest, blob);
    if (known !== undefined) this.#deps.channels.coalesced.publish({ kind: 'blob' });
    try {
      const reader = blob.join(sources, cause, { announcedBytes: sizeBytes, range, handed });
      return { reader, led: known === undefined, failed: blob.failed };
    } catch (error) {
      if (error instanceof AppError && error.code === 'OVERLOADED') {
        this.#deps.channels.refused.publish({ bound: 'pass-through' });
      }
      throw error;
    }
  }

  /** Whether a reader that begins at `offset` would share a transfer that is under way. */
  hasNear(digest: Digest, offset: number): boolean {
    return this.#blobs.get(digest)?.hasNear(offset) ?? false;
  }

  /** Why the blob is being passed, where it is. */
  causeOf(digest: Digest): PassThroughEvent['cause'] | undefined {
    return this.#blobs.get(digest)?.cause;
  }

  /** The blobs that are being passed. */
  snapshots(): FlightSnapshot[] {
    return [...this.#blobs.values()].map((blob) => blob.snapshot());
  }

  snapshot(digest: Digest): FlightSnapshot | undefined {
    return this.#blobs.get(digest)?.snapshot();
  }

  /** Those that ended lately, newest first. */
  ended(): readonly FlightSnapshot[] {
    return this.#ended;
  }

  /** Tells every reader that it is over. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const reason = new AppError('SHUTTING_DOWN', 'onepull is shutting down', { retryAfterMs: 1000 });
    for (const blob of [...this.#blobs.values()]) blob.fail(reason);
  }

  readonly #left = (blob: PassingBlob): void => {
    if (this.#blobs.get(blob.digest) !== blob) return;
    this.#blobs.delete(blob.digest);
    if (!blob.hasBegun) return;
    this.#ended.unshift(blob.snapshot());
    this.#ended.length = Math.min(this.#ended.length, endedShown);
  };
}
