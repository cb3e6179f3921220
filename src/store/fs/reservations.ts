import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';

export interface ReservationsDeps {
  readonly clock: Clock;
  /** What the digest's partial file takes of the disk now. */
  readonly writtenBytes: (digest: Digest) => number;
}

interface Reservation {
  readonly sizeBytes: number;
  /** Until when it holds without a fill: between the promise and the opening of the file. Undefined: the fill is open. */
  readonly lapsesAtMs: number | undefined;
}

const unclaimedForMs = 60_000;

/**
 * The room that fills in progress are still going to take: their size, less what they have on disk.
 *
 * Invariants: one reservation per digest; made when the room is promised, or once the size is known; it lasts as long as
 * the fill is open. A promise that no fill was opened for lapses. It counts only what is not written yet, so that with
 * what is (the store's usage) each byte counts once.
 */
export class Reservations {
  readonly #deps: ReservationsDeps;
  readonly #byDigest = new Map<Digest, Reservation>();

  constructor(deps: ReservationsDeps) {
    this.#deps = deps;
  }

  /** The fill of the digest will have `sizeBytes`. */
  promise(digest: Digest, sizeBytes: number): void {
    const isOpen = this.#byDigest.has(digest) && this.#byDigest.get(digest)?.lapsesAtMs === undefined;
    this.#set(digest, sizeBytes, isOpen);
  }

  /** The fill is open. Where nothing was promised, its size may be known from before. */
  opened(digest: Digest, sizeBytes: number | undefined): void {
    const promised = this.#byDigest.get(digest)?.sizeBytes ?? sizeBytes;
    if (promised !== undefined) this.#set(digest, promised, true);
  }

  /** The open fill has learnt its size. */
  sized(digest: Digest, sizeBytes: number): void {
    if (this.#byDigest.get(digest)?.sizeBytes !== sizeBytes) this.#set(digest, sizeBytes, true);
  }

  ended(digest: Digest): void {
    this.#byDigest.delete(digest);
  }

  has(digest: Digest): boolean {
    return this.#byDigest.has(digest);
  }

  /** What the fill is still going to write; 0 where that is not known. */
  restOf(digest: Digest): number {
    const reservation = this.#byDigest.get(digest);
    return reservation === undefined ? 0 : Math.max(0, reservation.sizeBytes - this.#deps.writtenBytes(digest));
  }

  /** What all fills are still going to write, but for that of `except`. */
  total(except?: Digest): number {
    const nowMs = this.#deps.clock.monotonic();
    let bytes = 0;
    for (const [digest, { lapsesAtMs }] of this.#byDigest) {
      if (lapsesAtMs !== undefined && lapsesAtMs <= nowMs) this.#byDigest.delete(digest);
      else if (digest !== except) bytes += this.restOf(digest);
    }
    return bytes;
  }

  #set(digest: Digest, sizeBytes: number, isOpen: boolean): void {
    const lapsesAtMs = isOpen ? undefined : this.#deps.clock.monotonic() + unclaimedForMs;
    this.#byDigest.set(digest, { sizeBytes, lapsesAtMs });
  }
}
