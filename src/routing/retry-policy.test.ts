import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { retryDefaults, retryPolicy } from './retry-policy.ts';

const lowest = retryPolicy(retryDefaults, () => 0);
const highest = retryPolicy(retryDefaults, () => 0.999999);

function failure(attempt: number, retryAfterMs?: number) {
  return { retryable: true, attempt, retryAfterMs };
}

describe('retry policy', () => {
  it('doubles the pause with each attempt, half of it by chance', () => {
    assert.deepEqual(
      [1, 2, 3, 4].map((n) => lowest(failure(n))),
      [100, 200, 400, 800],
    );
    assert.deepEqual(
      [1, 2, 3, 4].map((n) => highest(failure(n))),
      [200, 400, 800, 1600],
    );
  });

  it('never pauses longer than its maximum', () => {
    const patient = retryPolicy({ ...retryDefaults, maxAttempts: 100 }, () => 0.999999);
    assert.equal(patient(failure(60)), 5000);
  });

  it('gives up after five attempts without progress', () => {
    assert.notEqual(lowest(failure(4)), undefined);
    assert.equal(lowest(failure(5)), undefined);
  });

  it('gives up no sooner than it is told to, however many attempts have failed', () => {
    assert.equal(lowest({ ...failure(5), persistMs: 9000 }), 1600);
    assert.equal(highest({ ...failure(9), persistMs: 9000 }), 5000);
    assert.equal(lowest({ ...failure(9), persistMs: 0 }), undefined);
    assert.equal(lowest({ ...failure(5), retryable: false, persistMs: 9000 }), undefined);
  });

  it('makes one attempt where upstream is known to be down, unless that asks for a rest', () => {
    assert.equal(lowest({ ...failure(1), isDown: true }), undefined);
    assert.equal(lowest({ ...failure(1), isDown: true, persistMs: 9000 }), 100);
    assert.equal(lowest({ ...failure(1, 3000), isDown: true, patienceMs: 10_000 }), 3000);
  });

  it('makes its last attempt while there is time for it', () => {
    assert.equal(highest({ ...failure(9), persistMs: 1234.5 }), 1235);
    assert.equal(highest({ ...failure(9), persistMs: 1 }), 200);
  });

  it('gives up on what cannot succeed', () => {
    assert.equal(lowest({ retryable: false, attempt: 1, retryAfterMs: undefined }), undefined);
    assert.equal(lowest({ retryable: false, attempt: 1, retryAfterMs: 1 }), undefined);
  });

  it('comes back no earlier than Retry-After says, and not all at once', () => {
    assert.equal(lowest(failure(1, 3000)), 3000);
    assert.equal(highest(failure(1, 3000)), 3100);
    assert.equal(lowest(failure(1, 0)), 100);
  });

  it('gives up when Retry-After is longer than its bound', () => {
    assert.equal(lowest(failure(1, 30_000)), 30_000);
    assert.equal(lowest(failure(1, 30_001)), undefined);
  });

  it('waits for a rest as long as those who wait can, and no longer', () => {
    assert.equal(lowest({ ...failure(1, 600_000), patienceMs: 1_800_000 }), 600_000);
    assert.equal(lowest({ ...failure(1, 20_000), patienceMs: 19_999 }), undefined);
  });

  it('takes rests for no failures where it is told how long one can wait', () => {
    assert.equal(lowest({ ...failure(50, 3000), patienceMs: 10_000 }), 3000);
    assert.equal(lowest(failure(50, 3000)), undefined);
    assert.equal(lowest({ ...failure(50), patienceMs: 10_000 }), undefined);
  });

  it('keeps its chance within the patience', () => {
    assert.equal(highest({ ...failure(1, 3000), patienceMs: 3050 }), 3049);
    assert.equal(highest({ ...failure(1, 3000), patienceMs: 3000 }), 3000);
  });
});
