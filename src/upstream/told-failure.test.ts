import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, type ErrorCode } from '../core/errors.ts';
import { toldFailure } from './told-failure.ts';

function told(...codes: ErrorCode[]): ErrorCode {
  return toldFailure(codes.map((code) => new AppError(code, code))).code;
}

function limited(retryAfterMs: number | undefined): AppError {
  return new AppError('UPSTREAM_RATE_LIMITED', 'slow down', retryAfterMs === undefined ? {} : { retryAfterMs });
}

describe('what is told of a request that failed at every endpoint', () => {
  const rows: [failures: ErrorCode[], expected: ErrorCode][] = [
    [['MANIFEST_UNKNOWN', 'MANIFEST_UNKNOWN'], 'MANIFEST_UNKNOWN'],
    [['NAME_UNKNOWN', 'MANIFEST_UNKNOWN'], 'NAME_UNKNOWN'],
    [['MANIFEST_UNKNOWN', 'UPSTREAM_UNREACHABLE'], 'UPSTREAM_UNREACHABLE'],
    [['UPSTREAM_TIMEOUT', 'MANIFEST_UNKNOWN'], 'UPSTREAM_TIMEOUT'],
    [['MANIFEST_UNKNOWN', 'UPSTREAM_INVALID'], 'UPSTREAM_INVALID'],
    [['MANIFEST_UNKNOWN', 'OVERLOADED'], 'OVERLOADED'],
    [['MANIFEST_UNKNOWN', 'UPSTREAM_UNAUTHORIZED'], 'UPSTREAM_UNAUTHORIZED'],
    [['UPSTREAM_DENIED', 'UPSTREAM_FAILED'], 'UPSTREAM_FAILED'],
    [['UPSTREAM_UNREACHABLE', 'UPSTREAM_FAILED'], 'UPSTREAM_FAILED'],
    [['UPSTREAM_FAILED', 'UPSTREAM_RATE_LIMITED'], 'UPSTREAM_RATE_LIMITED'],
  ];
  for (const [failures, expected] of rows) {
    it(`of ${failures.join(' and ')} is ${expected}`, () => assert.equal(told(...failures), expected));
  }

  it('of limits is the one that ends first', () => {
    assert.equal(toldFailure([limited(60_000), limited(20_000)]).retryAfterMs, 20_000);
    assert.equal(toldFailure([limited(20_000), new AppError('MANIFEST_UNKNOWN', '')]).retryAfterMs, 20_000);
    assert.equal(toldFailure([limited(undefined), limited(undefined)]).retryAfterMs, undefined);
  });

  it('of a limit, where another endpoint only failed, is that it is soon worth another try', () => {
    const error = toldFailure([limited(60_000), new AppError('UPSTREAM_FAILED', '')]);
    assert.deepEqual([error.code, error.retryAfterMs], ['UPSTREAM_RATE_LIMITED', 1000]);
  });
});
