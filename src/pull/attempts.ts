import { type Clock, sleep } from '../core/clock.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { abandonable } from '../core/shared-calls.ts';
import type { RetryPolicy } from '../flights/source.ts';

export interface AttemptDeps {
  readonly clock: Clock;
  readonly retry: RetryPolicy;
}

/**
 * Runs `attempt` until it succeeds, the policy gives up, or `boundMs` have passed (UPSTREAM_TIMEOUT). For requests whose
 * answer is small; bodies of blobs have a flight, which retries by itself.
 */
export async function withAttempts<T>(
  deps: AttemptDeps,
  boundMs: number,
  attempt: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const timeout = new AppError('UPSTREAM_TIMEOUT', `upstream gave no answer within ${boundMs / 1000} s`, {
    retryAfterMs: 1000,
  });
  const timer = deps.clock.after(boundMs, () => abort.abort(timeout));
  try {
    for (let failed = 1; ; failed++) {
      try {
        return await abandonable(attempt(abort.signal), abort.signal);
      } catch (thrown) {
        const error = asAppError(thrown);
        const { retryable, retryAfterMs } = error;
        const delayMs = deps.retry({ retryable, attempt: failed, retryAfterMs });
        if (delayMs === undefined || abort.signal.aborted) throw error;
        await sleepOrThrow(deps.clock, delayMs, abort.signal, error);
      }
    }
  } finally {
    timer.clear();
  }
}

/** Sleeps; if there is no time for it, the failure that it would have slept on is the honest one to tell. */
async function sleepOrThrow(clock: Clock, delayMs: number, signal: AbortSignal, failure: AppError): Promise<void> {
  const sinceMs = clock.monotonic();
  try {
    await sleep(clock, delayMs, signal);
  } catch {
    throw laterBy(failure, clock.monotonic() - sinceMs);
  }
}

/** The same failure, told so much later: of its Retry-After only the rest is left. */
function laterBy(failure: AppError, elapsedMs: number): AppError {
  const { code, message, status, details, retryAfterMs } = failure;
  if (retryAfterMs === undefined) return failure;
  const leftMs = Math.max(0, retryAfterMs - elapsedMs);
  return new AppError(code, message, { cause: failure, status, details, retryAfterMs: leftMs });
}

/** Waits for `work` no longer than `boundMs`: then rejects with `late`, while the work, if it can be shared, goes on. */
export async function withinBound<T>(
  clock: Clock,
  boundMs: number,
  signal: AbortSignal,
  late: () => AppError,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const leave = () => abort.abort(signal.reason);
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  const timer = clock.after(boundMs, () => abort.abort(late()));
  try {
    return await work(abort.signal);
  } finally {
    timer.clear();
    signal.removeEventListener('abort', leave);
  }
}
