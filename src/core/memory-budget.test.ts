import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { divideMemory, processMemoryBytes, shareOfEach, usualMemoryBytes } from './memory-budget.ts';

const MiB = 1024 * 1024;

describe('the memory budget', () => {
  it('is a quarter of what the process may use, within bounds', () => {
    assert.equal(usualMemoryBytes(512 * MiB), 128 * MiB);
    assert.equal(usualMemoryBytes(64 * 1024 * MiB), 256 * MiB);
    assert.equal(usualMemoryBytes(64 * MiB), 32 * MiB);
  });

  it('knows the limit of the group that the process runs in, where there is one', () => {
    assert.equal(processMemoryBytes(200 * MiB, 1000 * MiB), 200 * MiB);
    for (const none of [undefined, 0, 2 ** 63, 18_446_744_073_709_552_000]) {
      assert.equal(processMemoryBytes(none, 1000 * MiB), 1000 * MiB);
    }
  });

  it('is divided without a rest that anybody could take twice', () => {
    for (const total of [32 * MiB, 100_000_001, 256 * MiB, 2 ** 40]) {
      const budget = divideMemory(total);
      const sum = Object.values(budget).reduce((all, bytes) => all + bytes, 0);
      assert.ok(sum <= total && sum > total - 10, `${sum} of ${total}`);
      assert.ok(Object.values(budget).every((bytes) => bytes >= MiB));
    }
  });

  it('takes what may be queued as it was said, and leaves the other shares as they are', () => {
    assert.deepEqual(divideMemory(64 * MiB, 5 * MiB), { ...divideMemory(64 * MiB), queuedBytes: 5 * MiB });
  });

  it('is shared by gateways, so that the sum holds', () => {
    for (const gateways of [0, 1, 2, 3, 7]) {
      const each = shareOfEach(96 * MiB, gateways);
      assert.ok(each * gateways <= 96 * MiB && each > 0);
    }
  });
});
