import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Breaker, type BreakerStep, breakerDefaults, closedBreaker, stepBreaker } from './circuit-breaker.ts';

function failure(weight: number, errorRatio = 0, attempts = 0): BreakerStep {
  return { kind: 'failure', weight, reason: 'it does not answer', errorRatio, attempts };
}

function run(breaker: Breaker, steps: readonly BreakerStep[], nowMs = 0, random = () => 1): Breaker {
  return steps.reduce((state, step) => stepBreaker(state, step, nowMs, random), breaker);
}

function open(nowMs = 0, from: Breaker = closedBreaker(0)): Breaker & { state: 'open' | 'half-open' } {
  const breaker = run(from, [failure(2), failure(2)], nowMs);
  assert.ok(breaker.state === 'open');
  return breaker;
}

function probeFails(breaker: Breaker & { state: 'open' | 'half-open' }, random = () => 1) {
  const failed: BreakerStep = { kind: 'probe-failed', reason: 'still down' };
  const next = run(breaker, [{ kind: 'due' }, failed], breaker.probeAtMs, random);
  assert.ok(next.state === 'open');
  return next;
}

describe('a breaker', () => {
  it('opens after two failures to reach it, or four refusals, in a row', () => {
    assert.equal(run(closedBreaker(0), [failure(2)]).state, 'closed');
    assert.equal(run(closedBreaker(0), [failure(2), failure(2)]).state, 'open');
    assert.equal(run(closedBreaker(0), [failure(1), failure(1), failure(1)]).state, 'closed');
    assert.equal(run(closedBreaker(0), [failure(1), failure(1), failure(1), failure(1)]).state, 'open');
  });

  it('stays closed where a success stands between', () => {
    const success: BreakerStep = { kind: 'success', sentAtMs: 0 };
    assert.equal(run(closedBreaker(0), [failure(2), success, failure(2), success, failure(2)]).state, 'closed');
  });

  it('opens where most requests fail, once there are enough to say so', () => {
    assert.equal(run(closedBreaker(0), [failure(1, 0.6, 9)]).state, 'closed');
    assert.equal(run(closedBreaker(0), [failure(1, 0.6, 10)]).state, 'open');
    assert.equal(run(closedBreaker(0), [failure(1, 0.5, 10)]).state, 'closed');
  });

  it('is not moved by failures while it is open', () => {
    const breaker = open();
    assert.equal(run(breaker, [failure(2), failure(2)], 500), breaker);
  });

  it('probes when its period is over, not before', () => {
    const breaker = open();
    assert.equal(breaker.probeAtMs, 1000);
    assert.equal(run(breaker, [{ kind: 'due' }], 999).state, 'open');
    assert.equal(run(breaker, [{ kind: 'due' }], 1000).state, 'half-open');
  });

  it('closes by its probe, and by a request that was sent since it opened', () => {
    const breaker = open(100);
    assert.equal(run(breaker, [{ kind: 'probe-succeeded' }], 200).state, 'closed');
    assert.equal(run(breaker, [{ kind: 'success', sentAtMs: 101 }], 200).state, 'closed');
    assert.equal(run(breaker, [{ kind: 'due' }, { kind: 'success', sentAtMs: 101 }], 5000).state, 'closed');
  });

  it('is not closed by a late answer to a request from before', () => {
    assert.equal(run(open(100), [{ kind: 'success', sentAtMs: 100 }], 200).state, 'open');
  });

  it('waits twice as long after each failed probe, up to half a minute, with some chance', () => {
    let breaker = open();
    const periods = Array.from({ length: 7 }, () => {
      const sinceMs = breaker.probeAtMs;
      breaker = probeFails(breaker);
      return breaker.probeAtMs - sinceMs;
    });
    assert.deepEqual(periods, [2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    const early = probeFails(open(), () => 0);
    assert.equal(early.probeAtMs - 1000, 1500);
  });

  it('is open for longer when it falls ill again soon, and not when that is long after', () => {
    const closed = run(open(), [{ kind: 'probe-succeeded' }], 1000);
    assert.equal(open(2000, closed).probeAtMs, 2000 + 2000);
    const laterMs = 1000 + breakerDefaults.forgetAfterMs;
    assert.equal(open(laterMs, closed).probeAtMs, laterMs + 1000);
  });

  it('probes sooner when it is wanted, but not more than once in each first period', () => {
    let breaker = open();
    while (breaker.probeAtMs - breaker.sinceMs < 30_000) breaker = probeFails(breaker);
    const { sinceMs } = breaker;
    const wanted = (nowMs: number) => run(breaker, [{ kind: 'wanted' }, { kind: 'due' }], nowMs).state;
    assert.equal(wanted(sinceMs + 999), 'open');
    assert.equal(wanted(sinceMs + 1000), 'half-open');
    assert.equal(run(breaker, [{ kind: 'wanted' }, { kind: 'due' }], sinceMs).state, 'open');
    const early = run(breaker, [{ kind: 'wanted' }], sinceMs);
    assert.ok(early.state === 'open' && early.probeAtMs === sinceMs + 1000);
    for (const other of [closedBreaker(0), run(open(), [{ kind: 'due' }], 1000)]) {
      assert.equal(run(other, [{ kind: 'wanted' }], 5000), other);
    }
  });

  it('says what opened it, then what the probe said', () => {
    assert.equal(open().reason, 'it does not answer');
    assert.equal(probeFails(open()).reason, 'still down');
  });

  it('ignores a probe that comes back when it is over', () => {
    const closed = closedBreaker(0);
    assert.equal(run(closed, [{ kind: 'probe-failed', reason: 'late' }, { kind: 'due' }]), closed);
    const breaker = open();
    assert.equal(run(breaker, [{ kind: 'probe-failed', reason: 'late' }]), breaker);
  });
});
