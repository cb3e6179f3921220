import { type Clock, sleep } from '../core/clock.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { abandonable } from '../core/shared-calls.ts';
import type { RetryPolicy } from '../flights/source.ts';
import { persistence } from '../routing/persistence.ts';
import type { Channels, RetryEvent } from '../telemetry/channels.ts';

export interface AttemptDeps {
  readonly clock: Clock;
  readonly retry: RetryPolicy;
  readonly channels: Pick<Channels, 'retry'>;
}

export interface AttemptOptions {
  readonly boundMs: number;
  /** Whom is asked, and for what: for events. */
  readonly upstream: string;
  readonly kind: RetryEvent['kind'];
  /** For so long upstream has been known to be down, in ms; 0, or left out: it is not. */
  readonly outageMs?: (() => number) | undefined;
  /**
   * Called when upstream asked for a rest that is waited for, or has failed twice in a row: whoever has something better to do
   * need not wait.
   */
  readonly onRest?: (() => void) | undefined;
}

/**
 * Runs `attempt` until it succeeds, the policy gives up (as `persistence` says), or `boundMs` have passed (UPSTREAM_TIMEOUT,
 * where no attempt has ended by then). Where the pause before the next attempt is longer than what is left, the failure is
 * told at once: to wait in vain helps nobody. For requests whose answer is small; bodies of blobs have a flight, which retries
 * by itself.
 */
export async function withAttempts<T>(
  deps: AttemptDeps,
  options: AttemptOptions,
  attempt: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, retry, channels } = deps;
  const { boundMs, upstream, kind, outageMs = () => 0, onRest } = options;
  const abort = new AbortController();
  const timeout = new AppError('UPSTREAM_TIMEOUT', `upstream gave no answer within ${boundMs / 1000} s`, {
    retryAfterMs: 1000,
  });
  const endMs = clock.monotonic() + boundMs;
  const timer = clock.after(boundMs, () => abort.abort(timeout));
  let last: AppError | undefined;
  try {
    for (let failed = 1; ; failed++) {
      try {
        return await abandonable(attempt(abort.signal), abort.signal);
      } catch (thrown) {
        const error = asAppError(thrown);
        // That the time was up for one more attempt says less than what came of the one before it.
        if (abort.signal.aborted) throw last ?? error;
        last = error;
        const { retryable, retryAfterMs } = error;
        const leftMs = endMs - clock.monotonic();
        const isAway = error.code === 'UPSTREAM_UNREACHABLE';
        const tried = { boundMs, leftMs, triedMs: boundMs - leftMs, isAway, outageMs: outageMs() };
        const situation = { retryable, attempt: failed, retryAfterMs, patienceMs: leftMs, ...persistence(tried) };
        const delayMs = retry(situation);
        if (delayMs === undefined || delayMs >= leftMs) throw error;
        if (retryAfterMs !== undefined || failed > 1) onRest?.();
        await sleep(clock, delayMs, abort.signal);
        channels.retry.publish({ upstream, kind, cause: error.code, failover: false });
      }
    }
  } finally {
    timer.clear();
  }
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
