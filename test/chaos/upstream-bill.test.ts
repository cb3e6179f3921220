import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BillFacts, upstreamBill } from './upstream-bill.ts';

const row = (digest: string, sizeBytes: number, arrivals: number, sentBytes: number) => ({
  digest,
  sizeBytes,
  arrivals,
  sentBytes,
});

const bill = (facts: Partial<BillFacts>) => {
  return upstreamBill({
    rows: [],
    receivedBytes: 0,
    streamedBytes: 0,
    explainedBytes: {},
    ...facts,
  });
};

describe('the bill of upstream bytes', () => {
  test('needs each content as often as it came', () => {
    const { neededBytes, unexplainedBytes } = bill({
      rows: [row('a', 100, 3, 300), row('b', 10, 0, 0)],
      receivedBytes: 300,
    });
    assert.deepEqual({ neededBytes, unexplainedBytes }, { neededBytes: 300, unexplainedBytes: 0 });
  });

  test('shows what came twice and what was worst', () => {
    const { unexplainedBytes, worst } = bill({
      rows: [row('a', 100, 1, 150), row('b', 50, 1, 200)],
      receivedBytes: 340,
    });
    assert.equal(unexplainedBytes, 190);
    assert.deepEqual(
      worst.map(({ digest }) => digest),
      ['b', 'a'],
    );
  });

  test('takes what was streamed for needed, but no more of it than was sent beyond what came into the store', () => {
    const rows = [row('large', 100, 0, 299), row('small', 10, 1, 20)];
    assert.equal(bill({ rows, receivedBytes: 319, streamedBytes: 200 }).neededBytes, 210);
    assert.equal(bill({ rows, receivedBytes: 319, streamedBytes: 9999 }).neededBytes, 319);
    assert.equal(bill({ rows, receivedBytes: 319 }).unexplainedBytes, 309);
  });

  test('goes by what was received, not by what was lost on the way, and deducts what faults explain', () => {
    const facts = { rows: [row('a', 100, 1, 900)], receivedBytes: 180, explainedBytes: { corrupt: 60 } };
    assert.equal(bill(facts).unexplainedBytes, 20);
  });
});
