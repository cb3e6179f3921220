import type { Clock } from '../core/clock.ts';

const windowMs = 500;

/** Bytes per second over the last half to whole second. Costs an addition per chunk. */
export class RateMeter {
  readonly #clock: Clock;
  #windowStartMs: number;
  #windowBytes = 0;
  #lastRate = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#windowStartMs = clock.monotonic();
  }

  add(bytes: number): void {
    this.#turn();
    this.#windowBytes += bytes;
  }

  get bytesPerSecond(): number {
    this.#turn();
    return Math.round(this.#lastRate);
  }

  #turn(): void {
    const elapsedMs = this.#clock.monotonic() - this.#windowStartMs;
    if (elapsedMs < windowMs) return;
    this.#lastRate = (this.#windowBytes * 1000) / elapsedMs;
    this.#windowBytes = 0;
    this.#windowStartMs += elapsedMs;
  }
}
