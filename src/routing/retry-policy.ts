/** What is known after a failed attempt. Structurally the `RetrySituation` that a flight hands over. */
export interface RetryFacts {
  readonly retryable: boolean;
  /** Failed attempts in a row without a byte of progress, this one included. */
  readonly attempt: number;
  /** What the refusing side asked for, in ms. */
  readonly retryAfterMs: number | undefined;
  /** The longest rest that is worth waiting for now, in ms; not told: that of the options. */
  readonly patienceMs?: number;
  /** So much longer it is too early to give up, however many attempts have failed, in ms. */
  readonly persistMs?: number;
  /** Known to be down: one attempt is enough to tell whether it is back. */
  readonly isDown?: boolean;
}

export interface RetryOptions {
  readonly maxAttempts: number;
  /** The first pause's upper bound; it doubles with each attempt. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** A Retry-After beyond this is not worth holding anybody for. */
  readonly maxRetryAfterMs: number;
}

export const retryDefaults: RetryOptions = { maxAttempts: 5, baseMs: 200, maxMs: 5000, maxRetryAfterMs: 30_000 };

/**
 * How long to pause before the next attempt, or undefined to give up. Half of each pause is chance, so that those who
 * failed together do not come back together. A rest that was asked for is a floor, with the chance on top of it; whoever
 * says how long they can wait waits it out as often as that allows, since to be told to come back is no failure.
 */
export function retryPolicy(
  options: RetryOptions,
  random: () => number,
): (situation: RetryFacts) => number | undefined {
  return ({ retryable, attempt, retryAfterMs, patienceMs, persistMs = 0, isDown = false }) => {
    const isCounted = retryAfterMs === undefined || patienceMs === undefined;
    const isUsedUp = isDown || attempt >= options.maxAttempts;
    if (!retryable || (isCounted && isUsedUp && persistMs <= 0)) return undefined;
    const boundMs = Math.min(options.maxMs, options.baseMs * 2 ** (attempt - 1));
    if (retryAfterMs === undefined) {
      const pauseMs = Math.round(boundMs * (0.5 + random() / 2));
      // The last attempt is made while there is time for it.
      return isUsedUp ? Math.min(pauseMs, Math.max(Math.ceil(persistMs), options.baseMs)) : pauseMs;
    }
    const longestMs = patienceMs ?? options.maxRetryAfterMs;
    if (retryAfterMs > longestMs) return undefined;
    const delayMs = Math.max(retryAfterMs, boundMs / 2) + Math.round((random() * boundMs) / 2);
    // Chance does not make impossible what is just possible.
    return patienceMs === undefined ? delayMs : Math.max(retryAfterMs, Math.min(delayMs, patienceMs - 1));
  };
}
