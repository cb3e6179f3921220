import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type EndpointHealth, type HealthObservation, observeHealth, unknownHealth } from './endpoint-health.ts';
import { type EndpointFacts, orderEndpoints } from './endpoint-order.ts';

function healthOf(...observations: HealthObservation[]): EndpointHealth {
  return observations.reduce((health, next) => observeHealth(health, next, 0), unknownHealth(0));
}

function answering(latencyMs: number, count = 8): EndpointHealth {
  return healthOf(...Array.from({ length: count }, () => ({ kind: 'answered', latencyMs }) as const));
}

function failing(failed: number, of: number): EndpointHealth {
  const failure = { kind: 'failed', weight: 1, code: 'UPSTREAM_FAILED', message: '' } as const;
  const answer = { kind: 'answered', latencyMs: 10 } as const;
  return healthOf(...Array.from({ length: of }, (_, n) => (n < failed ? failure : answer)));
}

function bringing(bytesPerSecond: number): EndpointHealth {
  const progress = { kind: 'progress', bytes: bytesPerSecond, activeMs: 1000 } as const;
  return healthOf(progress, progress, progress);
}

function facts(more: Partial<EndpointFacts> = {}): EndpointFacts {
  return { health: unknownHealth(0), isShut: false, restMs: 0, wasDegraded: false, ...more };
}

function order(endpoints: readonly EndpointFacts[], nowMs = 0): string {
  return orderEndpoints(endpoints, nowMs).order.join('');
}

describe('the order of endpoints', () => {
  it('is the configured one while all are well, whatever their small differences', () => {
    assert.equal(order([facts(), facts(), facts()]), '012');
    assert.equal(order([facts({ health: answering(300) }), facts({ health: answering(5) })]), '01');
    assert.equal(order([facts({ health: answering(3000) }), facts({ health: answering(1500) })]), '01');
    assert.equal(order([facts({ health: failing(2, 10) }), facts({ health: answering(5) })]), '01');
  });

  it('has those that rest behind, and those that are shut last', () => {
    assert.equal(order([facts({ isShut: true }), facts({ restMs: 1 }), facts(), facts()]), '2310');
    assert.equal(order([facts({ isShut: true }), facts({ isShut: true })]), '01');
  });

  it('has the clearly slow behind the sound', () => {
    assert.equal(order([facts({ health: answering(2000) }), facts({ health: answering(100) })]), '10');
    assert.equal(order([facts({ health: answering(2000, 1) }), facts({ health: answering(100) })]), '01', 'a blip');
    assert.equal(order([facts({ health: answering(2000) }), facts()]), '01', 'nothing to compare with');
    assert.equal(order([facts({ health: answering(2000) }), facts({ health: answering(100), isShut: true })]), '01');
  });

  it('has those that fail often behind the sound', () => {
    assert.equal(order([facts({ health: failing(4, 10) }), facts()]), '10');
    assert.equal(order([facts({ health: failing(1, 1) }), facts()]), '01', 'one failure says little');
  });

  it('has those that bring little behind those that bring much', () => {
    assert.equal(order([facts({ health: bringing(500_000) }), facts({ health: bringing(50_000_000) })]), '10');
    assert.equal(order([facts({ health: bringing(5_000_000) }), facts({ health: bringing(50_000_000) })]), '01');
  });

  it('does not go to and fro at the edge', () => {
    const better = { health: answering(150) };
    for (const [latencyMs, wasDegraded, expected] of [
      [900, false, '01'],
      [900, true, '10'],
      [1100, false, '10'],
      [450, true, '01'],
    ] as const) {
      assert.equal(
        order([facts({ health: answering(latencyMs), wasDegraded }), facts(better)]),
        expected,
        `${latencyMs}`,
      );
    }
  });

  it('gives one that was slow another chance once that is long ago', () => {
    const slow = facts({ health: answering(5000), wasDegraded: true });
    const sound = facts({ health: answering(100) });
    assert.equal(order([slow, sound], 60_000), '10');
    assert.equal(order([slow, sound], 200_000), '01');
  });

  it('costs the same for all that are sound', () => {
    const { costs, isDegraded } = orderEndpoints([facts(), facts(), facts({ health: failing(5, 10) })], 0);
    assert.deepEqual(costs, [0, 0, 1]);
    assert.deepEqual(isDegraded, [false, false, true]);
  });
});
