import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from './buffer-pool.ts';
import { QueuedBytes } from './queued-bytes.ts';

test('what many hold counts once, until the last has let go', () => {
  const queued = new QueuedBytes(new BufferPool());
  const shared = new Uint8Array(1000);
  const [first, second] = [queued.hold(shared), queued.hold(shared)];
  const other = queued.hold(new Uint8Array(10));
  assert.equal(queued.total, 1010);
  first();
  assert.equal(queued.total, 1010);
  second();
  assert.equal(queued.total, 10);
  queued.hold(shared)();
  assert.equal(queued.total, 10);
  other();
  assert.equal(queued.total, 0);
});

test('blocks of the pool count while they are lent, by their own size', () => {
  const pool = new BufferPool();
  const queued = new QueuedBytes(pool);
  const [small, large] = [pool.take(100), pool.take(200 * 1024)];
  assert.equal(queued.total, (32 + 256) * 1024);
  pool.give(small);
  assert.equal(queued.total, 256 * 1024);
  pool.give(large);
  assert.equal(queued.total, 0);
});
