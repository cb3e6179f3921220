import type { Clock, Timer } from '../core/clock.ts';

/** A timer that fires so much later than it was set for says that we stood still ourselves. */
const lateMs = 500;

/**
 * Notices that something which was begun does not end within its time. Made for beginnings and endings by the thousand:
 * they only note the time, and one timer is set anew when it fires and finds that there was progress.
 *
 * A process that was stopped (a suspended machine, a debugger) or had no time sees its timers fire before what arrived
 * meanwhile. So where it fires late, what was begun gets its time anew, once.
 */
export class StallTimer {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onStall: () => void;
  #timer: Timer | undefined;
  #dueMs = 0;
  #wasLate = false;
  #sinceMs: number | undefined;
  #cleared = false;

  constructor(clock: Clock, timeoutMs: number, onStall: () => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#onStall = onStall;
  }

  begin(): void {
    if (this.#cleared) return;
    this.#sinceMs = this.#clock.monotonic();
    this.#wasLate = false;
    if (this.#timer === undefined) this.#arm(this.#timeoutMs);
  }

  end(): void {
    this.#sinceMs = undefined;
  }

  /** Stops the clockwork for good. */
  clear(): void {
    this.#cleared = true;
    this.#sinceMs = undefined;
    this.#timer?.clear();
    this.#timer = undefined;
  }

  #arm(delayMs: number): void {
    this.#dueMs = this.#clock.monotonic() + delayMs;
    this.#timer = this.#clock.after(delayMs, this.#fire);
  }

  readonly #fire = (): void => {
    this.#timer = undefined;
    if (this.#sinceMs === undefined) return;
    const nowMs = this.#clock.monotonic();
    if (!this.#wasLate && nowMs - this.#dueMs > lateMs) {
      this.#wasLate = true;
      this.#sinceMs = nowMs;
    }
    const leftMs = this.#sinceMs + this.#timeoutMs - nowMs;
    if (leftMs > 0) this.#arm(leftMs);
    else this.#onStall();
  };
}
