import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ChangeCount } from './change-count.ts';

it('a change is seen by whoever shares the count', () => {
  const owner = new ChangeCount();
  const reader = new ChangeCount(owner.shared);
  const before = reader.value;
  assert.equal(reader.value, before);
  owner.bump();
  assert.notEqual(reader.value, before);
  assert.equal(reader.value, owner.value);
});
