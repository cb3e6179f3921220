import type { Clock, Timer } from '../clock.ts';

/** A clock that stands still until a test moves it. Timers fire in the order they are due. */
export class VirtualClock implements Clock {
  #elapsedMs = 0;
  #startMs: number;
  readonly #timers = new Set<{ dueMs: number; callback: () => void }>();

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
  }

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = { dueMs: this.#elapsedMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    return { clear: () => this.#timers.delete(timer) };
  }

  /** Somebody sets the system's clock, by so much forward or back: no time passes. */
  setBy(ms: number): void {
    this.#startMs += ms;
  }

  /** How many timers wait: a test ends with none. */
  get pending(): number {
    return this.#timers.size;
  }

  /** How long until the next timer is due, or undefined where none waits. */
  get nextDueInMs(): number | undefined {
    const due = [...this.#timers].map((timer) => timer.dueMs);
    return due.length === 0 ? undefined : Math.min(...due) - this.#elapsedMs;
  }

  /** Moves time forward, firing what falls due on the way. */
  advance(ms: number): void {
    const targetMs = this.#elapsedMs + ms;
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.dueMs <= targetMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#elapsedMs = due.dueMs;
      due.callback();
    }
    this.#elapsedMs = targetMs;
  }
}
