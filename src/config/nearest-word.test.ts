import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editDistance, nearestWord } from './nearest-word.ts';

test('counts insertions, deletions, replacements and swaps of neighbours', () => {
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('abc', 'abc'), 0);
  assert.equal(editDistance('abc', 'acb'), 1);
  assert.equal(editDistance('kitten', 'sitting'), 3);
});

test('finds the word that a slip meant, whatever its case', () => {
  assert.equal(nearestWord('lisen', ['admin', 'listen', 'log']), 'listen');
  assert.equal(nearestWord('maxsize', ['path', 'maxSize']), 'maxSize');
});

test('offers nothing where nothing is near', () => {
  assert.equal(nearestWord('frobnicate', ['admin', 'listen']), undefined);
  assert.equal(nearestWord('x', []), undefined);
});
