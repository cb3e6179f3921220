import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { persistence } from './persistence.ts';

const facts = { boundMs: 20_000, leftMs: 20_000, triedMs: 0, isAway: false, outageMs: 0 };
const persistMs = (more: Partial<typeof facts> = {}) => persistence({ ...facts, ...more }).persistMs;

describe('persistence', () => {
  it('lasts for three quarters of the patience', () => {
    assert.equal(persistMs(), 15_000);
    assert.equal(persistMs({ leftMs: 12_000, triedMs: 8000 }), 7000);
    assert.equal(persistMs({ leftMs: 5000, triedMs: 15_000 }), 0);
    assert.equal(persistMs({ leftMs: 1, triedMs: 19_999 }), 0);
  });

  it('goes by those who have waited longest', () => {
    assert.equal(persistMs({ leftMs: 8000, triedMs: 1000 }), 3000);
  });

  it('lasts no longer where nobody waits for a first byte', () => {
    assert.equal(persistMs({ leftMs: 1_800_000, triedMs: 1000 }), 14_000);
  });

  it('lasts for a few seconds where nobody is there to answer', () => {
    assert.equal(persistMs({ leftMs: 19_000, triedMs: 1000, isAway: true }), 3500);
    assert.equal(persistMs({ leftMs: 15_000, triedMs: 5000, isAway: true }), 0);
    assert.equal(persistMs({ boundMs: 4000, leftMs: 4000, isAway: true }), 3000);
  });

  it('is shared by all who ask in an outage: who comes later waits for what is left of it', () => {
    assert.deepEqual(persistence({ ...facts, isAway: true, outageMs: 3000 }), { persistMs: 1500, isDown: false });
    assert.deepEqual(persistence({ ...facts, isAway: true, triedMs: 4000, outageMs: 3000 }), {
      persistMs: 500,
      isDown: false,
    });
    assert.deepEqual(persistence({ ...facts, outageMs: 3000 }), { persistMs: 12_000, isDown: false });
  });

  it('is over for all once an outage has lasted as long as anybody waits', () => {
    assert.deepEqual(persistence({ ...facts, isAway: true, outageMs: 4500 }), { persistMs: 0, isDown: true });
    assert.deepEqual(persistence({ ...facts, outageMs: 14_000 }), { persistMs: 1000, isDown: false });
    assert.deepEqual(persistence({ ...facts, isAway: true, outageMs: 4400 }), { persistMs: 0, isDown: true });
    assert.deepEqual(persistence({ ...facts, outageMs: 15_000 }), { persistMs: 0, isDown: true });
    assert.deepEqual(persistence({ ...facts, boundMs: 4000, isAway: true, outageMs: 3000 }).isDown, true);
  });
});
