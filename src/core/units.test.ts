import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration, writtenDuration } from './units.ts';

test('a duration is written as a configuration has it, without what is nothing', () => {
  for (const [ms, text] of [
    [0, '0s'],
    [250, '250ms'],
    [10_000, '10s'],
    [60_000, '1m'],
    [90_500, '1m30s500ms'],
    [7_200_000, '2h'],
    [8 * 86_400_000, '8d'],
  ] as const) {
    assert.equal(writtenDuration(ms), text);
    assert.equal(parseDuration(text), ms);
  }
});
