import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, quantile, spread } from '../../bench/support/statistics.ts';

test('the median of an even number of values is between the two in the middle', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([9, 1, 5]), 5);
});

test('a quantile is a value that was measured, by nearest rank', () => {
  const values = Array.from({ length: 200 }, (_, n) => 200 - n);
  assert.equal(quantile(values, 0.5), 100);
  assert.equal(quantile(values, 0.99), 198);
  assert.equal(quantile(values, 1), 200);
  assert.equal(quantile([7], 0.01), 7);
});

test('a spread holds the median and both ends, and leaves the values as they are', () => {
  const values = [3, 1, 2];
  assert.deepEqual(spread(values), { median: 2, min: 1, max: 3 });
  assert.deepEqual(values, [3, 1, 2]);
});

test('of no values there is no figure, rather than a wrong one', () => {
  assert.ok(Number.isNaN(median([])));
  assert.ok(Number.isNaN(quantile([], 0.5)));
  assert.ok(Number.isNaN(spread([]).max));
});
