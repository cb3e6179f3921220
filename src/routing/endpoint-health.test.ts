import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  agedHealth,
  type EndpointHealth,
  errorRatio,
  type HealthObservation,
  observeHealth,
  unknownHealth,
} from './endpoint-health.ts';

const failed: HealthObservation = { kind: 'failed', weight: 1, code: 'UPSTREAM_FAILED', message: 'no' };

function after(observations: readonly HealthObservation[], stepMs = 0, health = unknownHealth(0)): EndpointHealth {
  return observations.reduce((seen, next, n) => observeHealth(seen, next, n * stepMs), health);
}

function answers(latencyMs: number, count: number): HealthObservation[] {
  return Array.from({ length: count }, () => ({ kind: 'answered', latencyMs }));
}

describe('the health of an endpoint', () => {
  it('begins unknown', () => {
    const { latencyMs, bytesPerSecond, lastError } = unknownHealth(0);
    assert.deepEqual(
      [latencyMs, bytesPerSecond, lastError, errorRatio(unknownHealth(0))],
      [undefined, undefined, undefined, 0],
    );
  });

  it('follows the latency of now within some ten answers, however many came before', () => {
    const { latencyMs = 0 } = after([...answers(10, 10_000), ...answers(500, 20)]);
    assert.ok(latencyMs > 400 && latencyMs <= 500, `${latencyMs}`);
  });

  it('does not take a body’s headers for its success', () => {
    const health = after([{ kind: 'headers', latencyMs: 40 }]);
    assert.deepEqual([health.latencyMs, health.attempts], [40, 0]);
  });

  it('learns from a wait that was cut short only that the latency is no less', () => {
    assert.equal(after([{ kind: 'overtaken', waitedMs: 700 }]).latencyMs, 700);
    assert.equal(after([...answers(900, 1), { kind: 'overtaken', waitedMs: 700 }]).latencyMs, 900);
    assert.ok((after([...answers(100, 1), { kind: 'overtaken', waitedMs: 700 }]).latencyMs ?? 0) > 100);
  });

  it('has the share of failures, by their weight', () => {
    assert.equal(errorRatio(after([...answers(1, 3), failed])), 0.25);
    assert.equal(errorRatio(after([...answers(1, 1), { ...failed, weight: 3 }])), 0.75);
  });

  it('lets what is old count less, and failures that are over not at all', () => {
    const health = after([...answers(10, 8), failed, failed]);
    assert.equal(agedHealth(health, 30_000).attempts, 5);
    assert.equal(errorRatio(agedHealth(health, 30_000)), 0.2);
    const later = observeHealth(health, { kind: 'answered', latencyMs: 10 }, 300_000);
    assert.ok(errorRatio(later) < 0.01);
    assert.equal(errorRatio(observeHealth(health, { kind: 'recovered' }, 0)), 0);
  });

  it('keeps the last error, with when it was', () => {
    const health = after([failed, ...answers(1, 5)], 100);
    assert.deepEqual(health.lastError, { code: 'UPSTREAM_FAILED', message: 'no', atMs: 0 });
  });

  it('measures the rate of bodies while they were wanted, and not by their first kilobytes', () => {
    assert.equal(after([{ kind: 'progress', bytes: 1_000_000, activeMs: 500 }]).bytesPerSecond, 2_000_000);
    assert.equal(after([{ kind: 'progress', bytes: 1000, activeMs: 1 }]).bytesPerSecond, undefined);
    assert.equal(after([{ kind: 'progress', bytes: 1000, activeMs: 10_000 }]).bytesPerSecond, 100);
  });
});
