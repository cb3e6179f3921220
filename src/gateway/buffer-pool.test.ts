import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BufferPool } from './buffer-pool.ts';

const options = { largeBytes: 64, maxLarge: 2, smallBytes: 8, keptSmall: 1, mostBytes: 1000 };

describe('BufferPool', () => {
  it('lends large blocks for large needs, small ones for small needs', () => {
    const pool = new BufferPool(options);
    assert.equal(pool.take(64).length, 64);
    assert.equal(pool.take(9).length, 64);
    assert.equal(pool.take(8).length, 8);
    assert.equal(pool.lent, 3);
  });

  it('lends small blocks where all large ones are out, so that nobody waits', () => {
    const pool = new BufferPool(options);
    const blocks = [pool.take(64), pool.take(64), pool.take(64)];
    assert.deepEqual(
      blocks.map((block) => block.length),
      [64, 64, 8],
    );
    for (const block of blocks) pool.give(block);
    assert.equal(pool.lent, 0);
    assert.equal(pool.take(64).length, 64);
  });

  it('reuses a block that came back, and never one that is out', () => {
    const pool = new BufferPool(options);
    const given = pool.take(64);
    assert.notEqual(pool.take(64), given);
    pool.give(given);
    assert.equal(pool.take(64), given);
    assert.equal(pool.lent, 2);
  });

  it('keeps none while all that is lent and kept is more than it may have', () => {
    const pool = new BufferPool({ ...options, keptSmall: 100, mostBytes: 160 });
    const large = [pool.take(64), pool.take(64)];
    for (const block of large) pool.give(block);
    assert.deepEqual([pool.lentBytes, pool.keptBytes], [0, 128]);
    const small = Array.from({ length: 10 }, () => pool.take(8));
    assert.deepEqual([pool.lentBytes, pool.keptBytes], [80, 0]);
    const more = Array.from({ length: 15 }, () => pool.take(8));
    for (const block of [...small, ...more]) {
      pool.give(block);
      assert.ok(pool.lentBytes + pool.keptBytes <= 200);
    }
    assert.ok(pool.keptBytes > 0 && pool.keptBytes <= 160);
  });

  it('keeps no more small blocks than it is told', () => {
    const pool = new BufferPool(options);
    const [first, second] = [pool.take(1), pool.take(1)];
    pool.give(first);
    pool.give(second);
    assert.equal(pool.take(1), first);
    assert.notEqual(pool.take(1), second);
  });
});
