import type { Clock } from '../core/clock.ts';

/** A fault that passes has passed by then; who goes on saying the same may be right. */
const leastDisputeMs = 2000;

/**
 * What a flight believes of its blob's size. What a manifest claims is the better witness: a manifest is known by its digest,
 * while a source may be cut short, or declare anything. A source that says otherwise is at fault, until sources have said one
 * and the same other size again, in a row and for a while, and none ever said the claimed one: manifests with wrong sizes
 * exist. A size that only a source has said is disputed in the same way, and gives way to the claim at once.
 *
 * Invariants: the claim is given up for this flight alone, and comes back when a body of the other size turns out wrong; what
 * was ever said by a source about the claimed size outlives bodies that are thrown away; the digest has the last word.
 */
export class SizeBelief {
  readonly #clock: Clock;
  #claimedBytes: number | undefined;
  #isClaimConfirmed = false;
  /** What counts instead of the claim. */
  #otherBytes: number | undefined;
  #dispute: { readonly saidBytes: number; readonly sinceMs: number } | undefined;

  constructor(clock: Clock, claimedBytes: number | undefined) {
    this.#clock = clock;
    this.#claimedBytes = claimedBytes;
  }

  get claimedBytes(): number | undefined {
    return this.#claimedBytes;
  }

  /** What a body is opened for; undefined: whatever a source says. */
  get sizeBytes(): number | undefined {
    return this.#otherBytes ?? this.#claimedBytes;
  }

  /** A source says what the body was opened for, or what was not known. */
  agreed(saidBytes: number): void {
    this.#dispute = undefined;
    if (saidBytes === this.#claimedBytes) this.#isClaimConfirmed = true;
  }

  /** A source says another size than that of the body. Returns whether the body is to give way to one of that size. */
  disputed(saidBytes: number, body: { readonly sizeBytes: number | undefined }): boolean {
    const isOfClaim = body.sizeBytes !== undefined && body.sizeBytes === this.#claimedBytes;
    if (saidBytes === this.#claimedBytes) {
      this.agreed(saidBytes);
      return this.#giveWay(undefined);
    }
    const nowMs = this.#clock.monotonic();
    if (this.#dispute?.saidBytes !== saidBytes) this.#dispute = { saidBytes, sinceMs: nowMs };
    const isTooSoon = nowMs - this.#dispute.sinceMs < leastDisputeMs;
    if (isTooSoon || (isOfClaim && this.#isClaimConfirmed)) return false;
    return this.#giveWay(saidBytes);
  }

  /** A body is thrown away, for another reason than its size. `isConfirmed`: a source had said its size. */
  discarded(isConfirmed: boolean): void {
    // Nobody ever said what the manifest claims, and it did not fit: then let a source say it.
    if (!isConfirmed && this.#otherBytes === undefined) this.#claimedBytes = undefined;
    this.#giveWay(undefined);
  }

  #giveWay(otherBytes: number | undefined): true {
    this.#otherBytes = otherBytes;
    this.#dispute = undefined;
    return true;
  }
}
