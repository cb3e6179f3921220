import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionsThatFit, idleFilesThatFit } from './connection-budget.ts';

const usual = {
  threads: 0,
  maxConnections: 10_000,
  maxResponses: 5_000,
  maxFlights: 1_000,
  upstreamConnections: 448,
  idleFiles: 0,
};
const fit = (limit: number, more = {}) => connectionsThatFit({ ...usual, ...more, limit });

test('where all fits, the configured number of connections stays', () => {
  assert.equal(fit(1_048_576), 10_000);
  assert.equal(fit(16_512), 10_000);
});

test('files that stay open count', () => {
  assert.equal(fit(16_512, { idleFiles: 512 }), 10_000 - 512);
});

test('threads count', () => {
  assert.equal(fit(16_512, { threads: 16 }), 10_000 - 16 * 8);
});

test('a sixteenth of the descriptors is for files that stay open, and no more than is of use', () => {
  assert.deepEqual([8, 64, 1024, 8192, 1_048_576, undefined].map(idleFilesThatFit), [0, 4, 64, 512, 512, 512]);
});

test('one descriptor less is one connection less', () => {
  assert.equal(fit(16_511), 9_999);
  assert.equal(fit(12_000), 12_000 - 1_512 - 5_000);
});

test('where answers are fewer than half of what is left, each connection counts for two', () => {
  assert.equal(fit(4_096), (4_096 - 1_512) / 2);
});

test('where little is allowed, four tenths of it are for clients, and there are always some connections', () => {
  assert.equal(fit(1_024), Math.floor(1_024 * 0.4 * 0.5));
  assert.equal(fit(64), 12);
  assert.equal(fit(8), 4);
});

test('it never allows more than what is configured, and more descriptors never allow fewer connections', () => {
  assert.equal(fit(64, { maxConnections: 2 }), 2);
  let last = 0;
  for (let limit = 1; limit < 20_000; limit += 7) {
    const now = fit(limit);
    assert.ok(now >= last, `${limit}: ${now} after ${last}`);
    last = now;
  }
});
