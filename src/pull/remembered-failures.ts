import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { type AppError, asAppError, withRetryAfter } from '../core/errors.ts';

/** What upstream said "no" to is asked again after this. */
const refusalMs = 5000;
/** What merely went wrong is tried again after this: long enough that a crowd of waiters costs one attempt. */
const faultMs = 1000;

/**
 * Failures, remembered for seconds so that a crowd that is told one at once does not bring it about again, each of them
 * (P6). Nothing is remembered longer, nor longer than the rest that upstream asked for: a registry that recovers is
 * noticed. Who hears of a rest later is told what is left of it.
 */
export class RememberedFailures {
  readonly #clock: Clock;
  /**
   * When each error was told, and when the failure that it tells of was first: those of a crowd who hear of it later do not
   * prolong it.
   */
  readonly #told = new WeakMap<AppError, { firstMs: number; toldMs: number }>();
  readonly #failures = new LRUCache<string, { error: AppError; untilMs: number }>({ max: 10_000 });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The failure that still counts for `key`. */
  recall(key: string): AppError | undefined {
    const failure = this.#failures.get(key);
    if (failure === undefined) return undefined;
    if (failure.untilMs > this.#clock.monotonic()) return this.#laterTold(failure.error);
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
    const nowMs = this.#clock.monotonic();
    const { firstMs, toldMs } = this.#told.get(error) ?? { firstMs: nowMs, toldMs: nowMs };
    this.#told.set(error, { firstMs, toldMs });
    const longestMs = firstMs + (error.retryable ? faultMs : refusalMs);
    const untilMs = error.retryable ? Math.min(longestMs, toldMs + (error.retryAfterMs ?? faultMs)) : longestMs;
    this.#failures.set(key, { error, untilMs });
    return error;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The same failure, told now: of its Retry-After only the rest is left. */
  #laterTold(error: AppError): AppError {
    const nowMs = this.#clock.monotonic();
    const { firstMs, toldMs } = this.#told.get(error) ?? { firstMs: nowMs, toldMs: nowMs };
    const { retryAfterMs } = error;
    if (retryAfterMs === undefined || toldMs === nowMs) return error;
    const told = withRetryAfter(error, Math.max(0, retryAfterMs - (nowMs - toldMs)));
    this.#told.set(told, { firstMs, toldMs: nowMs });
    return told;
  }
}
