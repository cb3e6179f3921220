import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { ChangeCount } from '../core/change-count.ts';
import { digestOf } from '../core/digest.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { StoredMemory } from './stored-memory.ts';

test('much that is not known is looked up some at a time: who reads of the same disk does not wait behind all of it', async () => {
  let [now, most, looks] = [0, 0, 0];
  const store = {
    async sizeOf() {
      looks++;
      most = Math.max(most, ++now);
      await setImmediate();
      now--;
      return looks % 2 === 0 ? 1 : undefined;
    },
  };
  const memory = new StoredMemory({ clock: new VirtualClock(), changes: new ChangeCount(), store });
  const digests = Array.from({ length: 500 }, (_, n) => digestOf(Buffer.from(`${n}`)));
  await memory.look(new Set(digests));
  assert.equal(looks, digests.length);
  assert.ok(most <= 16, `${most} at once`);
  for (const digest of digests) assert.notEqual(memory.isStored(digest), undefined);
});
