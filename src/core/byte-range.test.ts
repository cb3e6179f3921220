import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decideRange, parseContentRange } from './byte-range.ts';

const part = (start: number, end: number) => ({ kind: 'part', range: { start, end } });
const whole = { kind: 'whole' };
const unsatisfiable = { kind: 'unsatisfiable' };

describe('a Range header', () => {
  const cases: [string | undefined, number, unknown][] = [
    [undefined, 100, whole],
    ['bytes=0-', 100, part(0, 100)],
    ['bytes=0-0', 100, part(0, 1)],
    ['bytes=10-19', 100, part(10, 20)],
    ['bytes=90-200', 100, part(90, 100)],
    ['bytes=-10', 100, part(90, 100)],
    ['bytes=-1000', 100, part(0, 100)],
    ['BYTES=1-2', 100, part(1, 3)],
    ['bytes= 1 - 2', 100, part(1, 3)],
    ['bytes=100-', 100, unsatisfiable],
    ['bytes=-0', 100, unsatisfiable],
    ['bytes=0-', 0, whole],
    ['bytes=0-5', 0, unsatisfiable],
    ['bytes=5-2', 100, whole],
    ['bytes=-', 100, whole],
    ['bytes=a-b', 100, whole],
    ['bytes=0-1,5-6', 100, whole],
    ['items=0-1', 100, whole],
    ['bytes=0x1-2', 100, whole],
    ['bytes=--5', 100, whole],
    ['', 100, whole],
  ];
  for (const [header, size, expected] of cases) {
    it(`${JSON.stringify(header)} of ${size} bytes`, () => assert.deepEqual(decideRange(header, size), expected));
  }
});

describe('a Content-Range header', () => {
  it('gives the range and the size', () => {
    assert.deepEqual(parseContentRange('bytes 0-9/100'), { range: { start: 0, end: 10 }, sizeBytes: 100 });
    assert.deepEqual(parseContentRange('bytes 5-5/*'), { range: { start: 5, end: 6 }, sizeBytes: undefined });
  });
  it('is nothing where it makes no sense', () => {
    for (const header of ['bytes 9-0/100', 'bytes 0-100/100', 'bytes */100', 'items 0-1/2', '']) {
      assert.equal(parseContentRange(header), undefined, header);
    }
  });
});
