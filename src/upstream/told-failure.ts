import { AppError, type ErrorCode, isRefusal, withRetryAfter } from '../core/errors.ts';

/** So soon it is worth asking again where one endpoint asked for a longer rest and another only failed. */
const soonMs = 1000;

/**
 * What to tell of a request that failed at every endpoint, in order of preference. That one of them lacks something says
 * nothing while another could not be asked: it may lag behind. So failures come before refusals and refusals before a
 * 404; a limit comes first, because it tells how long to wait. Whatever asked for a rest, it is told as until the first of
 * the endpoints can be asked again: one that rests for an hour keeps nobody from another that only failed.
 */
export function toldFailure(failures: readonly AppError[]): AppError {
  const [told] = [...failures].sort((a, b) => rank(a) - rank(b));
  if (told === undefined) return new AppError('INTERNAL', 'no endpoint was asked');
  if (told.retryAfterMs === undefined && told.code !== 'UPSTREAM_RATE_LIMITED') return told;
  const rests = failures.filter(({ retryable }) => retryable).map(({ retryAfterMs }) => retryAfterMs);
  if (rests.every((ms) => ms === undefined)) return told;
  const retryAfterMs = Math.min(...rests.map((ms) => ms ?? soonMs));
  return retryAfterMs === told.retryAfterMs ? told : withRetryAfter(told, retryAfterMs);
}

const first: Partial<Record<ErrorCode, number>> = {
  UPSTREAM_RATE_LIMITED: 0,
  UPSTREAM_FAILED: 1,
  UPSTREAM_TIMEOUT: 2,
  UPSTREAM_STALLED: 2,
  UPSTREAM_INTERRUPTED: 2,
  UPSTREAM_UNREACHABLE: 2,
};

function rank(error: AppError): number {
  if (error.status === 404) return 6;
  if (isRefusal(error)) return 5;
  return first[error.code] ?? (error.retryable ? 3 : 4);
}
