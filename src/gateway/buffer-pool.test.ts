import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BufferPool } from './buffer-pool.ts';

const options = { largeBytes: 64, maxLarge: 2, smallBytes: 8, keptSmall: 1 };

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

  it('reuses a block that came back and never one that was dropped', () => {
    const pool = new BufferPool(options);
    const given = pool.take(64);
    pool.give(given);
    assert.equal(pool.take(64), given);
    pool.drop(given);
    assert.notEqual(pool.take(64), given);
    assert.equal(pool.lent, 1);
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
