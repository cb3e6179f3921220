import { type BytePieces, piecesLength } from '../../core/byte-pieces.ts';
import type { Interval } from '../../core/byte-range.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError, asAppError } from '../../core/errors.ts';
import { formatSize } from '../../core/units.ts';
import type { PartialBlob } from '../content-store.ts';

export interface RoomyPartialDeps {
  readonly room: { relieve(digest: Digest): Promise<void> };
  readonly reservations: {
    opened(digest: Digest, sizeBytes: number | undefined): void;
    sized(digest: Digest, sizeBytes: number): void;
    ended(digest: Digest): void;
  };
  readonly health: { noteFailure(error: AppError): void; noteWrite(): void };
}

/**
 * A partial file on a disk that may be full or fail: what is still to come of it is reserved, a write that finds no room
 * is tried once more after content has left for it, and a record that cannot be written costs nothing but a later process
 * some bytes.
 *
 * Invariants: the reservation begins with the file and ends with it, at the latest with `close`; a write is repeated
 * whole, at the same offset, so a half of it that went to disk is harmless. `commit` is never repeated: after an fsync
 * that failed, the next one may say that all is well (P10).
 */
export class RoomyPartial implements PartialBlob {
  readonly digest: Digest;
  readonly fd: number;
  readonly fileId: number;
  readonly resumed: PartialBlob['resumed'];
  readonly #deps: RoomyPartialDeps;
  readonly #partial: PartialBlob;
  readonly #maxBytes: number;
  #isOpen = true;

  /** @param maxBytes what no fill may pass, whatever its size was said to be */
  constructor(deps: RoomyPartialDeps, partial: PartialBlob, maxBytes: number) {
    this.#deps = deps;
    this.#partial = partial;
    this.#maxBytes = maxBytes;
    this.digest = partial.digest;
    this.fd = partial.fd;
    this.fileId = partial.fileId;
    this.resumed = partial.resumed;
    deps.reservations.opened(partial.digest, partial.resumed.sizeBytes);
  }

  write(bytes: BytePieces, offset: number): Promise<void> {
    if (offset + piecesLength(bytes) > this.#maxBytes) return Promise.reject(beyondTheCache(this.#maxBytes));
    return this.#partial.write(bytes, offset).then(this.#onWritten, (error) => this.#writeAgain(error, bytes, offset));
  }

  async record(filled: readonly Interval[], sizeBytes: number | undefined): Promise<void> {
    if (this.#isOpen && sizeBytes !== undefined) this.#deps.reservations.sized(this.digest, sizeBytes);
    await this.#partial
      .record(filled, sizeBytes)
      .catch((error: unknown) => this.#deps.health.noteFailure(asAppError(error)));
  }

  commit(sizeBytes: number): Promise<void> {
    this.#endReservation();
    return this.#partial.commit(sizeBytes).catch(this.#onFailed);
  }

  discard(): Promise<void> {
    this.#endReservation();
    return this.#partial.discard().catch(this.#onFailed);
  }

  hold(): () => void {
    return this.#partial.hold();
  }

  close(): Promise<void> {
    this.#endReservation();
    return this.#partial.close();
  }

  #endReservation(): void {
    // Once: by now the digest may belong to the next fill.
    if (this.#isOpen) this.#deps.reservations.ended(this.digest);
    this.#isOpen = false;
  }

  async #writeAgain(error: unknown, bytes: BytePieces, offset: number): Promise<void> {
    if (!(error instanceof AppError) || error.code !== 'STORAGE_FULL') return this.#onFailed(error);
    await this.#deps.room.relieve(this.digest);
    await this.#partial.write(bytes, offset).then(this.#onWritten, this.#onFailed);
  }

  readonly #onWritten = (): void => this.#deps.health.noteWrite();

  readonly #onFailed = (error: unknown): never => {
    const failure = asAppError(error);
    this.#deps.health.noteFailure(failure);
    throw failure;
  };
}

function beyondTheCache(maxBytes: number): AppError {
  const message = `the content is larger than the whole cache may be, ${formatSize(maxBytes)}`;
  return new AppError('STORAGE_FULL', message, { details: { reason: 'too-large' } });
}
