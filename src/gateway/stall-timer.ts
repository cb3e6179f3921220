import type { Clock, Timer } from '../core/clock.ts';

/**
 * Notices that something which was begun does not end within its time. Made for beginnings and endings by the thousand:
 * they only note the time, and one timer is set anew when it fires and finds that there was progress.
 */
export class StallTimer {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onStall: () => void;
  #timer: Timer | undefined;
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
    this.#timer = this.#clock.after(delayMs, this.#fire);
  }

  readonly #fire = (): void => {
    this.#timer = undefined;
    if (this.#sinceMs === undefined) return;
    const leftMs = this.#sinceMs + this.#timeoutMs - this.#clock.monotonic();
    if (leftMs > 0) this.#arm(leftMs);
    else this.#onStall();
  };
}
