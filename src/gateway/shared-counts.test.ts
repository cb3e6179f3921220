import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Admission } from './admission.ts';
import { SharedCounts } from './shared-counts.ts';

function three() {
  const counts = new SharedCounts(new SharedArrayBuffer(SharedCounts.bytesFor(3)));
  return { counts, gateways: [counts.of(0), counts.of(1), counts.of(2)] as const };
}

describe('what gateways count together', () => {
  it('is the sum of what each has, kind by kind', () => {
    const { gateways } = three();
    gateways[0].responses.add(3);
    gateways[2].responses.add(2);
    gateways[2].connections.add(7);
    gateways[0].responses.add(-1);
    assert.deepEqual(
      gateways.map(({ responses, connections, queuedKiB }) => [responses.own, connections.own, queuedKiB.own]),
      [
        [2, 0, 0],
        [0, 0, 0],
        [2, 7, 0],
      ],
    );
    assert.equal(gateways[1].responses.total, 4);
    assert.equal(gateways[1].connections.total, 7);
    assert.equal(gateways[1].queuedKiB.total, 0);
  });

  it('is written off for one that died, and for no other', () => {
    const { counts, gateways } = three();
    for (const { responses, queuedKiB } of gateways) {
      responses.add(5);
      queuedKiB.add(100);
    }
    counts.forget(1);
    assert.equal(gateways[0].responses.total, 10);
    assert.equal(gateways[0].queuedKiB.total, 200);
    assert.equal(gateways[1].responses.own, 0);
  });

  it('bounds the answers of all together: one is refused where another has the last place, and let in when that has left', () => {
    const { gateways } = three();
    const admissions = gateways.map(
      ({ responses }) => new Admission({ queuedBytes: () => 0, responses }, { maxResponses: 2, maxQueuedBytes: 100 }),
    );
    assert.equal(admissions[0]?.enter('body'), undefined);
    assert.equal(admissions[1]?.enter('body'), undefined);
    assert.equal(admissions[2]?.enter('body'), 'responses');
    assert.equal(gateways[2].responses.own, 0, 'what was refused counts for nothing');
    admissions[0]?.leave();
    assert.equal(admissions[2]?.enter('body'), undefined);
  });

  it('opens a bound that was reached for all at once, whoever had refused somebody', () => {
    const { gateways } = three();
    const [first, second] = gateways.map(
      ({ responses, full }) =>
        new Admission({ queuedBytes: () => 0, responses, full }, { maxResponses: 20, maxQueuedBytes: 100 }),
    );
    const enter = (times: number) => Array.from({ length: times }, () => first?.enter('body')).filter(Boolean).length;
    assert.equal(enter(20), 0);
    assert.equal(second?.enter('body'), 'responses');
    for (let left = 20; left > 0; left--) first?.leave();
    assert.equal(enter(19), 0);
    assert.equal(second?.enter('body'), undefined, 'it was not full again since');
  });

  it('keeps a bound closed for all that one of them has found reached', () => {
    const { gateways } = three();
    const [first, second] = gateways.map(
      ({ responses, full }) =>
        new Admission({ queuedBytes: () => 0, responses, full }, { maxResponses: 20, maxQueuedBytes: 100 }),
    );
    for (let left = 20; left > 0; left--) first?.enter('body');
    assert.equal(first?.enter('body'), 'responses');
    first?.leave();
    assert.equal(second?.enter('body'), 'responses');
    first?.leave();
    first?.leave();
    assert.equal(second?.enter('body'), undefined);
  });
});
