import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onceEach } from './once-each.ts';

test('each object is asked of once, also where nothing comes of it', () => {
  const asked: object[] = [];
  const nameOf = onceEach((from: { readonly name?: string }) => {
    asked.push(from);
    return from.name;
  });
  const [one, other] = [{ name: 'one' }, {}];
  assert.deepEqual([nameOf(one), nameOf(one), nameOf(other), nameOf(other)], ['one', 'one', undefined, undefined]);
  assert.deepEqual(asked, [one, other]);
});
