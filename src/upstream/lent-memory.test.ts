import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LentMemory } from './lent-memory.ts';

describe('memory that is lent', () => {
  it('stays as it is until it was given back, whatever is lent meanwhile', () => {
    const seed = Date.now() % 100_000;
    let state = seed;
    const random = (below: number) => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return Math.floor((state / 2 ** 31) * below);
    };
    const memory = new LentMemory();
    const lent: { bytes: Buffer; mark: number }[] = [];
    let shortTimes = 0;
    for (let step = 0; step < 20_000; step++) {
      if (memory.isShort) shortTimes++;
      if (!memory.isShort && random(100) < 55) {
        const { space } = memory;
        memory.fill(1 + random(space.length));
        const bytes = memory.lend();
        assert.equal(bytes.buffer, space.buffer, `seed ${seed}`);
        assert.equal(bytes.byteOffset, space.byteOffset, `seed ${seed}`);
        const mark = step % 251;
        bytes[0] = mark;
        bytes[bytes.length - 1] = mark;
        lent.push({ bytes, mark });
        continue;
      }
      const oldest = lent.shift();
      if (oldest === undefined) continue;
      const { bytes, mark } = oldest;
      assert.deepEqual([bytes[0], bytes.at(-1)], [mark, mark], `seed ${seed}, step ${step}`);
      memory.giveBack(bytes.length);
    }
    assert.ok(shortTimes > 0, `it was never all lent (seed ${seed})`);
  });

  it('is bounded, and there again for the next when something was given back', () => {
    const memory = new LentMemory();
    const buffers = new Set<ArrayBufferLike>();
    const lent: number[] = [];
    while (!memory.isShort) {
      const { length } = memory.space;
      memory.fill(length);
      buffers.add(memory.lend().buffer);
      lent.push(length);
    }
    buffers.add(memory.space.buffer);
    assert.ok(buffers.size * memory.space.length <= 2 * 1024 * 1024);
    memory.giveBack(lent[0] ?? 0);
    assert.equal(memory.isShort, false);
    for (let times = 0; times < 100; times++) {
      const { length } = memory.space;
      memory.fill(length);
      assert.ok(buffers.has(memory.lend().buffer), 'it takes memory of its own all the time');
      memory.giveBack(length);
    }
  });
});
