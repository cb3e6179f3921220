import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Interval } from '../../core/byte-range.ts';
import { filledIntervals, parseRecord, serializeRecord, survivingIntervals } from './partial-record.ts';

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
        synced: [{ start: 0, end: 60 }],
        boot: sizeBytes === 0 ? undefined : 'this one',
      };
      assert.deepEqual(parseRecord(serializeRecord(record)), record);
    }
  });

  it('of a release that synced nothing is believed in any start of the machine', () => {
    const record = parseRecord('{"version":1,"size":700,"filled":[[0,100]]}');
    assert.ok(record);
    assert.deepEqual(survivingIntervals(record, 300, 'any'), [{ start: 0, end: 300 }]);
  });

  it('counts for what was synced, and no more, once the machine was started again', () => {
    const synced = [
      { start: 0, end: 60 },
      { start: 200, end: 250 },
    ];
    const record = { filled: [{ start: 0, end: 300 }], sizeBytes: 700, synced, boot: 'first' };
    assert.deepEqual(survivingIntervals(record, 500, 'first'), [{ start: 0, end: 500 }]);
    assert.deepEqual(survivingIntervals(record, 500, 'second'), synced);
    assert.deepEqual(survivingIntervals(record, 220, 'second'), [
      { start: 0, end: 60 },
      { start: 200, end: 220 },
    ]);
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
      '{"version":1,"size":1,"filled":[],"synced":[[0]]}',
      '{"version":1,"size":1,"filled":[],"synced":[],"boot":7}',
    ];
    for (const text of garbled) assert.equal(parseRecord(text), undefined, text);
  });
});
