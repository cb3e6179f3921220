import type { Clock, Timer } from '../../core/clock.ts';

const smallestSliceBytes = 4 * 1024;
const largestSliceBytes = 256 * 1024;
const idleCreditMs = 5;
const busyCreditMs = 250;

/** Something that sends over the line, one slice at a turn. */
export interface LineUser {
  /** Sends at most `maxBytes` and returns how many it did send. Queues itself again when it has more and may send. */
  turn(maxBytes: number): number;
}

/**
 * One line of limited speed, shared by all connections.
 *
 * Fair: whoever queues gets one small slice at a turn, in order. Precise: what was really sent is charged to a bucket
 * that fills with time; while somebody queues, the bucket remembers what a late timer missed (up to 250 ms), an idle line
 * saves nothing worth mentioning. A user whose client reads slowly leaves the queue and costs nobody anything.
 * Nothing is allocated per slice.
 */
export class Line {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  readonly #sliceBytes: number;
  #queue: LineUser[] = [];
  #turning = false;
  #timer: Timer | undefined;
  #credit = 0;
  #creditedAt: number;

  /** `bytesPerSecond` may be `Infinity`. */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerMs = bytesPerSecond / 1000;
    // About 1 ms of the line: the precision of a timer.
    this.#sliceBytes = Math.min(largestSliceBytes, Math.max(smallestSliceBytes, Math.floor(this.#bytesPerMs)));
    this.#creditedAt = clock.monotonic();
  }

  /** `user` gets a turn, soon or now. */
  queue(user: LineUser): void {
    if (this.#queue.length === 0 && !this.#turning) this.#fill(idleCreditMs);
    this.#queue.push(user);
    if (this.#timer === undefined) this.#giveTurns();
  }

  /** `user` gets no turn any more. */
  leave(user: LineUser): void {
    this.#queue = this.#queue.filter((queued) => queued !== user);
  }

  close(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    this.#queue = [];
  }

  #giveTurns(): void {
    if (this.#turning) return;
    this.#turning = true;
    try {
      while (this.#credit > 0) {
        const user = this.#queue.shift();
        if (user === undefined) return;
        this.#credit -= user.turn(this.#sliceBytes);
      }
    } finally {
      this.#turning = false;
    }
    this.#waitForCredit();
  }

  /** The last slice may have overdrawn the bucket: the next turn waits until it is paid for. */
  #waitForCredit(): void {
    if (this.#queue.length === 0 || this.#timer !== undefined) return;
    const delayMs = Math.max(1, Math.ceil(-this.#credit / this.#bytesPerMs));
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#fill(busyCreditMs);
      this.#giveTurns();
    });
  }

  #fill(limitMs: number): void {
    const now = this.#clock.monotonic();
    if (this.#bytesPerMs === Number.POSITIVE_INFINITY) this.#credit = Number.POSITIVE_INFINITY;
    else {
      const earned = (now - this.#creditedAt) * this.#bytesPerMs;
      this.#credit = Math.min(this.#credit + earned, Math.max(this.#credit, limitMs * this.#bytesPerMs));
    }
    this.#creditedAt = now;
  }
}
