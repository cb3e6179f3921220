import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sampleBytes } from '../../store/testing/sample-content.ts';
import { Window } from './window.ts';

const bytes = sampleBytes(1, 20_000);

/** What the window has from `offset` on, in pieces of at most `most`. */
function read(window: Window, offset: number, most: number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = offset; at < window.end; at += pieces.at(-1)?.length ?? 0)
    pieces.push(Buffer.from(window.at(at, most)));
  return Buffer.concat(pieces);
}

describe('a window of a transfer', () => {
  it('has the bytes that were appended, wherever one begins to read', () => {
    const window = new Window(1000, 6400);
    for (let at = 1000; at < 5000; at += 170) window.append(bytes.subarray(at, Math.min(at + 170, 5000)));
    for (const from of [1000, 1001, 1099, 1100, 4999]) {
      for (const most of [1, 7, 10_000]) assert.ok(read(window, from, most).equals(bytes.subarray(from, 5000)));
    }
  });

  it('drops what came first once it is full, and never holds more than it may', () => {
    const window = new Window(0, 6400);
    let hasDropped = false;
    for (let at = 0; at < 20_000; at += 333) {
      hasDropped = window.append(bytes.subarray(at, at + 333)) || hasDropped;
      assert.ok(window.end - window.start <= window.capacityBytes);
      assert.ok(window.end - window.start >= Math.min(window.end, window.keptBytes));
      assert.ok(read(window, window.start, 10_000).equals(bytes.subarray(window.start, window.end)));
    }
    assert.ok(hasDropped);
    assert.throws(() => window.at(window.start - 1, 10), RangeError);
    assert.throws(() => window.at(window.end, 10), RangeError);
  });

  it('drops nothing of what it was made for', () => {
    for (const size of [1, 63, 64, 65, 2049, 20_000, 64 * 256 * 1024 + 1]) {
      const window = new Window(3, Window.capacityFor(size));
      assert.ok(window.capacityBytes >= size && window.capacityBytes < size + 256 * 1024);
      if (size <= bytes.length) assert.equal(window.append(bytes.subarray(0, size)), false);
    }
  });
});
