import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { giveBack, piecesLength, slicePieces } from './byte-pieces.ts';

const whole = Buffer.from('abcdefghij');

describe('bytes in pieces', () => {
  it('are sliced as if they were one', () => {
    const pieces = [whole.subarray(0, 3), whole.subarray(3, 3), whole.subarray(3, 4), whole.subarray(4)];
    assert.equal(piecesLength(pieces), whole.length);
    for (let start = 0; start <= whole.length; start++) {
      for (let end = start; end <= whole.length; end++) {
        const slice = slicePieces(pieces, start, end);
        assert.deepEqual(Buffer.concat(slice), whole.subarray(start, end));
        assert.ok(slice.every((piece) => piece.length > 0));
      }
    }
  });

  it('are handed on as they are where all of a piece is wanted', () => {
    const pieces = [whole.subarray(0, 3), whole.subarray(3)];
    assert.deepEqual(slicePieces(pieces, 0, 10), pieces);
    assert.equal(slicePieces(pieces, 3, 10)[0], pieces[1]);
  });
});

describe('a piece that is given back', () => {
  it('holds no memory any more', () => {
    const piece = new Uint8Array(8192);
    giveBack(piece);
    assert.equal(piece.length, 0);
    assert.equal(piece.buffer.byteLength, 0);
  });

  it('leaves alone what it shares with others', () => {
    const buffer = new ArrayBuffer(16384);
    const [one, other] = [new Uint8Array(buffer, 0, 8192), new Uint8Array(buffer, 8192)];
    giveBack(one);
    assert.equal(other.length, 8192);
    const shared = new Uint8Array(new SharedArrayBuffer(8192));
    giveBack(shared);
    assert.equal(shared.length, 8192);
  });
});
