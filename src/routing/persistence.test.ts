import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { persistMs } from './persistence.ts';

const facts = { boundMs: 20_000, leftMs: 20_000, triedMs: 0, isAway: false };

describe('persistence', () => {
  it('lasts for three quarters of the patience', () => {
    assert.equal(persistMs(facts), 15_000);
    assert.equal(persistMs({ ...facts, leftMs: 12_000, triedMs: 8000 }), 7000);
    assert.equal(persistMs({ ...facts, leftMs: 5000, triedMs: 15_000 }), 0);
    assert.equal(persistMs({ ...facts, leftMs: 1, triedMs: 19_999 }), 0);
  });

  it('goes by those who have waited longest', () => {
    assert.equal(persistMs({ ...facts, leftMs: 8000, triedMs: 1000 }), 3000);
  });

  it('lasts no longer where nobody waits for a first byte', () => {
    assert.equal(persistMs({ ...facts, leftMs: 1_800_000, triedMs: 1000 }), 14_000);
  });

  it('lasts for a few seconds where nobody is there to answer', () => {
    assert.equal(persistMs({ ...facts, leftMs: 19_000, triedMs: 1000, isAway: true }), 3500);
    assert.equal(persistMs({ ...facts, leftMs: 15_000, triedMs: 5000, isAway: true }), 0);
    assert.equal(persistMs({ ...facts, boundMs: 4000, leftMs: 4000, isAway: true }), 3000);
  });
});
