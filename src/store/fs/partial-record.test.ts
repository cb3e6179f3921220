import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Interval } from '../../core/byte-range.ts';
import { filledIntervals, parseRecord, serializeRecord } from './partial-record.ts';

function filled(intervals: [number, number][], lengthBytes: number, sizeBytes?: number): [number, number][] {
  const record = { filled: intervals.map(([start, end]): Interval => ({ start, end })), sizeBytes };
  return filledIntervals(record, lengthBytes).map(({ start, end }) => [start, end]);
}

describe('what a partial file holds', () => {
  it('the highest interval reaches to the end of the file', () => {
    assert.deepEqual(
      filled(
        [
          [0, 100],
          [500, 600],
        ],
        800,
      ),
      [
        [0, 100],
        [500, 800],
      ],
    );
  });

  it('a fill that was recorded before its first write counts from where it began', () => {
    assert.deepEqual(
      filled(
        [
          [0, 100],
          [500, 500],
        ],
        650,
      ),
      [
        [0, 100],
        [500, 650],
      ],
    );
  });

  it('a fill that was recorded but wrote nothing counts for nothing', () => {
    assert.deepEqual(
      filled(
        [
          [0, 50],
          [500, 500],
        ],
        100,
      ),
      [[0, 100]],
    );
  });

  it('what is recorded beyond the file is not there', () => {
    assert.deepEqual(
      filled(
        [
          [0, 100],
          [200, 400],
          [600, 900],
        ],
        300,
      ),
      [
        [0, 100],
        [200, 300],
      ],
    );
  });

  it('nothing recorded is nothing, whatever the file holds', () => {
    assert.deepEqual(filled([], 1000), []);
  });

  it('nothing lies beyond the size', () => {
    assert.deepEqual(filled([[0, 10]], 1000, 500), [[0, 500]]);
  });
});

describe('the record of a partial file', () => {
  it('comes back as it was', () => {
    for (const sizeBytes of [undefined, 0, 700]) {
      const record = {
        filled: [
          { start: 0, end: 100 },
          { start: 500, end: 500 },
        ],
        sizeBytes,
      };
      assert.deepEqual(parseRecord(serializeRecord(record)), record);
    }
  });

  it('is nothing where it is garbled', () => {
    const garbled = [
      '',
      '{"version":1,"si',
      '[]',
      'null',
      '{"version":2,"size":1,"filled":[]}',
      '{"version":1,"size":-1,"filled":[]}',
      '{"version":1,"size":1,"filled":[[5,1]]}',
      '{"version":1,"size":1,"filled":[[0,"1"]]}',
      '{"version":1,"size":1,"filled":[[0,1e300]]}',
    ];
    for (const text of garbled) assert.equal(parseRecord(text), undefined, text);
  });
});
