import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IntervalSet } from './interval-set.ts';

describe('interval set', () => {
  it('joins what touches and counts what is new', () => {
    const set = new IntervalSet();
    assert.equal(set.add(0, 10), 10);
    assert.equal(set.add(20, 30), 10);
    assert.equal(set.add(5, 22), 10);
    assert.deepEqual(set.toArray(), [{ start: 0, end: 30 }]);
    assert.equal(set.add(30, 40), 10);
    assert.equal(set.bytes, 40);
    assert.equal(set.add(3, 9), 0);
    assert.equal(set.add(9, 9), 0);
  });

  it('tells how far the bytes from an offset reach', () => {
    const set = new IntervalSet([
      { start: 0, end: 10 },
      { start: 20, end: 30 },
    ]);
    assert.equal(set.endFrom(0), 10);
    assert.equal(set.endFrom(10), 10);
    assert.equal(set.endFrom(25), 30);
    assert.equal(set.endFrom(99), 99);
    assert.equal(set.nextFrom(10), 20);
    assert.equal(set.nextFrom(22), 22);
    assert.equal(set.nextFrom(30), undefined);
  });

  it('lists what is missing of a stretch', () => {
    const set = new IntervalSet([
      { start: 5, end: 10 },
      { start: 20, end: 30 },
    ]);
    assert.deepEqual(set.missing(0, 40), [
      { start: 0, end: 5 },
      { start: 10, end: 20 },
      { start: 30, end: 40 },
    ]);
    assert.deepEqual(set.missing(6, 9), []);
    assert.deepEqual(set.missing(7, 22), [{ start: 10, end: 20 }]);
  });

  it('agrees with a plain list of bytes, whatever is added', () => {
    const seed = Number(process.env.SEED ?? 1);
    let state = seed;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state % below;
    };
    for (let round = 0; round < 200; round++) {
      const set = new IntervalSet();
      const bytes = new Uint8Array(64);
      for (let step = 0; step < 12; step++) {
        const start = random(60);
        const end = Math.min(64, start + random(12));
        const fresh = bytes.subarray(start, end).filter((byte) => byte === 0).length;
        assert.equal(set.add(start, end), fresh, `seed ${seed}, round ${round}`);
        bytes.fill(1, start, end);
        for (let offset = 0; offset < 64; offset++) {
          const firstGap = bytes.indexOf(0, offset);
          assert.equal(set.endFrom(offset), firstGap === -1 ? 64 : firstGap);
        }
        const missing = set
          .missing(0, 64)
          .flatMap(({ start: a, end: b }) => Array.from({ length: b - a }, (_, i) => a + i));
        assert.deepEqual(
          missing,
          [...bytes.keys()].filter((offset) => bytes[offset] === 0),
        );
      }
    }
  });
});
