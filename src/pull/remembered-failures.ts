import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { type AppError, asAppError } from '../core/errors.ts';

/** What upstream said "no" to is asked again after this. */
const refusalMs = 5000;
/** What merely went wrong is tried again after this: long enough that a crowd of waiters costs one attempt. */
const faultMs = 1000;

/**
 * Failures, remembered for seconds so that a crowd that is told one at once does not bring it about again, each of them
 * (P6). Nothing is remembered longer: a registry that recovers is noticed.
 */
export class RememberedFailures {
  readonly #clock: Clock;
  /** When each error was first told: those of a crowd who hear of it later do not prolong it. */
  readonly #since = new WeakMap<AppError, number>();
  readonly #failures = new LRUCache<string, { error: AppError; untilMs: number }>({ max: 10_000 });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The failure that still counts for `key`. */
  recall(key: string): AppError | undefined {
    const failure = this.#failures.get(key);
    if (failure === undefined) return undefined;
    const leftMs = failure.untilMs - this.#clock.monotonic();
    if (leftMs > 0) return failure.error;
    this.#failures.delete(key);
    return undefined;
  }

  /** Runs `work` unless it failed a moment ago; a failure is remembered and thrown. */
  async guard<T>(key: string, work: () => Promise<T>): Promise<T> {
    const known = this.recall(key);
    if (known !== undefined) throw known;
    try {
      return await work();
    } catch (error) {
      throw this.remember(key, asAppError(error));
    }
  }

  remember(key: string, error: AppError): AppError {
    if (error.code === 'CANCELLED' || error.code === 'SHUTTING_DOWN' || error.code === 'OVERLOADED') return error;
    const forMs = error.retryable ? faultMs : refusalMs;
    const sinceMs = this.#since.get(error) ?? this.#clock.monotonic();
    this.#since.set(error, sinceMs);
    this.#failures.set(key, { error, untilMs: sinceMs + forMs });
    return error;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }
}
