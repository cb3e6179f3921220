import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PassMemory } from './pass-memory.ts';

const options = { totalBytes: 128, windowBytes: 16, leastWindowBytes: 1 };
const all = Number.POSITIVE_INFINITY;

describe('the memory of passes', () => {
  it('is granted whole while there is plenty, then in smaller parts, until a new pass does not fit', () => {
    const memory = new PassMemory(options);
    const granted: number[] = [];
    for (let bytes = memory.take(all); bytes !== undefined; bytes = memory.take(all)) granted.push(bytes);
    assert.deepEqual(granted.slice(0, 4), [16, 16, 16, 16]);
    assert.ok(granted.length > 12, `only ${granted.length}`);
    assert.ok(granted.every((bytes, n) => bytes >= 1 && bytes <= (granted[n - 1] ?? 16)));
    assert.equal(memory.grantedBytes, 112);
  });

  it('is granted no further than it can be used', () => {
    assert.equal(new PassMemory(options).take(3), 3);
    assert.equal(new PassMemory(options).take(0), 0);
  });

  it('keeps some for those in the middle of a body, who wait for it in turn', () => {
    const memory = new PassMemory(options);
    while (memory.take(all) !== undefined);
    const log: string[] = [];
    memory.request(16, (bytes) => log.push(`a ${bytes}`));
    assert.deepEqual(log, ['a 4']);
    while (memory.grantedBytes < 128) memory.request(all, () => {});
    const leave = memory.request(all, (bytes) => log.push(`b ${bytes}`));
    memory.request(all, (bytes) => log.push(`c ${bytes}`));
    assert.equal(memory.take(1), undefined);
    leave();
    memory.giveBack(8);
    assert.deepEqual(log, ['a 4', 'c 2']);
    assert.ok(memory.grantedBytes <= 128);
  });

  it('is off where it is less than one pass needs', () => {
    assert.equal(new PassMemory({ ...options, totalBytes: 0 }).isOn, false);
    assert.equal(new PassMemory({ ...options, totalBytes: 1 }).isOn, true);
    assert.equal(new PassMemory({ ...options, totalBytes: 1 }).take(all), 1);
  });
});
