import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { FillBody } from './fill-body.ts';
import type { FillStorage } from './fill-storage.ts';

const bytes = sampleBytes(1, 100);
const digest = digestOf(bytes);

/** A body in memory of which an earlier process left the first `leftBytes`. */
function resumedBody(leftBytes: number, hold: () => () => void = () => () => {}): FillBody {
  const storage: FillStorage = {
    view: { kind: 'memory', bytes },
    resumed: { filled: [{ start: 0, end: leftBytes }], sizeBytes: bytes.length },
    async write() {},
    async record() {},
    async commit() {},
    async discard() {},
    hold,
    async close() {},
  };
  return new FillBody(storage, { digest, sizeBytes: bytes.length, holdBackBytes: 10 });
}

describe('the hash of a body', () => {
  it('goes on whenever bytes come while it reads back what was there', async () => {
    // The write may fall between any two turns of the reading back, also between its last look and its end.
    for (let turns = 0; turns < 30; turns++) {
      const body = resumedBody(50);
      for (let turn = 0; turn < turns; turn++) await undefined;
      body.wrote(50, bytes.subarray(50));
      const outcome = await Promise.race([body.hashed(), new Promise((resolve) => setImmediate(resolve, 'never'))]);
      assert.equal(outcome, digest, `after ${turns} turns`);
    }
  });

  it('takes out of order what is written out of order', async () => {
    const body = resumedBody(0);
    body.wrote(60, bytes.subarray(60));
    body.wrote(20, bytes.subarray(20, 60));
    body.wrote(0, bytes.subarray(0, 20));
    assert.equal(await body.hashed(), digest);
  });
});

describe('a body that has ended', () => {
  it('lets go of the storage before it says so, with most of it still to be hashed', async () => {
    let holds = 0;
    const body = resumedBody(100, () => {
      holds++;
      return () => {
        holds--;
      };
    });
    assert.equal(holds, 1);
    await body.end();
    assert.equal(holds, 0);
    body.wrote(0, bytes.subarray(0, 10));
    assert.equal(holds, 0);
  });
});

describe('what is readable of a body', () => {
  it('leaves out the end until the whole is verified', () => {
    const body = resumedBody(100);
    assert.equal(body.readableTo(0), 90);
    assert.equal(body.readableTo(95), 95);
    body.markVerified();
    assert.equal(body.readableTo(0), 100);
  });
});
