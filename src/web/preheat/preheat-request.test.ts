import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError } from '../state/admin-call.ts';
import { problemOf, refusalOf, requestOf } from './preheat-request.ts';

test('images stand one per line and platforms between commas or blanks; blank lines and ends count for nothing', () => {
  const typed = {
    images: '  nginx:1.29 \r\n\n ghcr.io/org/app@sha256:ab\n',
    platforms: ' linux/amd64,linux/arm64  linux/arm/v7,',
  };
  assert.deepEqual(requestOf(typed), {
    images: ['nginx:1.29', 'ghcr.io/org/app@sha256:ab'],
    platforms: ['linux/amd64', 'linux/arm64', 'linux/arm/v7'],
  });
  assert.deepEqual(requestOf({ images: '\n', platforms: '' }), { images: [], platforms: [] });
});

test('what is beyond a bound is said beside its field; what is within it is left to the server', () => {
  const many = (number: number, text: string) => Array.from({ length: number }, (_, n) => `${text}${n}`);
  const fieldOf = (images: readonly string[], platforms: readonly string[] = []) =>
    problemOf({ images, platforms })?.field;
  assert.equal(fieldOf([]), 'images');
  assert.equal(fieldOf(many(100, 'app:v')), undefined);
  assert.equal(fieldOf(many(101, 'app:v')), 'images');
  assert.match(problemOf({ images: ['a', 'b'.repeat(1025)], platforms: [] })?.words ?? '', /line 2/);
  assert.equal(fieldOf(['NO:name'], many(20, 'linux/arm')), undefined);
  assert.equal(fieldOf(['app'], many(21, 'linux/arm')), 'platforms');
});

test('a refusal stands beside what it is about, and below both where it is about neither', () => {
  const refused = (where: string | undefined, message = 'it is not right') =>
    refusalOf(new CallError(400, message, { where }));
  assert.deepEqual(refused('body.images.3'), { field: 'images', words: 'It is not right.' });
  assert.equal(refused('body.platforms.0').field, 'platforms');
  assert.equal(refused('body.platforms').field, 'platforms');
  for (const where of [undefined, 'body', 'body.imagesLater', 'query.images'])
    assert.equal(refused(where).field, 'none');
  assert.deepEqual(refusalOf(new TypeError('network')), { field: 'none', words: 'Onepull did not answer.' });
});
