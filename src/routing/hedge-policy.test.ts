import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { observeHealth, unknownHealth } from './endpoint-health.ts';
import { earnHedge, fullBudget, hedgeDefaults, hedgeDelayMs, spendHedge } from './hedge-policy.ts';

function delayAfter(latenciesMs: readonly number[], nowMs = 0): number {
  const health = latenciesMs.reduce(
    (seen, latencyMs) => observeHealth(seen, { kind: 'answered', latencyMs }, 0),
    unknownHealth(0),
  );
  return hedgeDelayMs(health, nowMs);
}

describe('the delay before a second endpoint is asked', () => {
  it('is longer than nearly all answers take, steady or scattered', () => {
    const steady = delayAfter(Array.from({ length: 50 }, () => 100));
    assert.ok(steady >= 250 && steady < 260, `${steady}`);
    const scattered = Array.from({ length: 100 }, (_, n) => (n % 2 === 0 ? 20 : 400));
    assert.ok(delayAfter(scattered) > 400);
  });

  it('is bounded both ways', () => {
    assert.equal(delayAfter([1, 1, 1]), hedgeDefaults.leastDelayMs);
    assert.equal(delayAfter([9000, 9000]), hedgeDefaults.mostDelayMs);
  });

  it('is that of the unknown where nothing is known, or no more', () => {
    assert.equal(delayAfter([]), hedgeDefaults.unknownDelayMs);
    assert.equal(delayAfter([100], 300_000), hedgeDefaults.unknownDelayMs);
  });
});

describe('the budget of second requests', () => {
  it('allows a small burst, then one in twenty', () => {
    let budget = fullBudget();
    let sent = 0;
    for (let request = 0; request < 1000; request++) {
      budget = earnHedge(budget);
      const left = spendHedge(budget);
      if (left === undefined) continue;
      budget = left;
      sent++;
    }
    assert.ok(sent >= 50 && sent <= 55, `${sent} of 1000`);
  });

  it('does not grow beyond the burst', () => {
    let budget = fullBudget();
    for (let request = 0; request < 1000; request++) budget = earnHedge(budget);
    assert.equal(budget, hedgeDefaults.burst);
  });
});
