import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Admission, type Burden } from './admission.ts';

function setUp({ maxResponses = 10, maxQueuedBytes = 100 } = {}) {
  const queued = { bytes: 0 };
  const admission = new Admission({ queuedBytes: () => queued.bytes }, { maxResponses, maxQueuedBytes });
  const enter = (burden: Burden, times: number) => Array.from({ length: times }, () => admission.enter(burden));
  const leave = (times: number) => {
    for (let left = times; left > 0; left--) admission.leave();
  };
  return { admission, queued, enter, leave };
}

describe('the bound of answers', () => {
  it('lets in as many as there may be, and says what is in the way of the next', () => {
    const { admission, enter } = setUp();
    assert.deepEqual(new Set(enter('body', 10)), new Set([undefined]));
    assert.equal(admission.responses, 10);
    assert.equal(admission.enter('body'), 'responses');
    assert.equal(admission.responses, 10);
  });

  it('opens again when a tenth has left and one more, not with each one that leaves', () => {
    const { admission, enter, leave } = setUp();
    enter('body', 11);
    leave(1);
    assert.equal(admission.enter('body'), 'responses');
    leave(1);
    assert.equal(admission.enter('body'), undefined);
    assert.equal(admission.enter('body'), undefined);
    assert.equal(admission.enter('body'), 'responses');
  });

  it('is used to the full again when one leaves whom nobody missed', () => {
    const { admission, enter, leave } = setUp();
    enter('body', 10);
    leave(1);
    assert.equal(admission.enter('body'), undefined);
  });

  it('works where there may be one', () => {
    const { admission, enter, leave } = setUp({ maxResponses: 1 });
    assert.deepEqual(enter('body', 2), [undefined, 'responses']);
    leave(1);
    assert.equal(admission.enter('body'), undefined);
  });

  it('lets answers without a body in a tenth beyond it, and never one with a body in their place', () => {
    const { enter, leave } = setUp();
    enter('body', 10);
    assert.deepEqual(enter('head', 2), [undefined, 'responses']);
    leave(1);
    assert.deepEqual(enter('body', 1), ['responses']);
    assert.deepEqual(enter('head', 1), [undefined]);
  });

  it('always answers pings', () => {
    const { queued, enter } = setUp();
    enter('body', 10);
    enter('head', 1);
    queued.bytes = 1000;
    assert.deepEqual(enter('ping', 2), [undefined, undefined]);
  });
});

describe('the bound of queued bytes', () => {
  it('refuses new bodies from it on until a tenth of it was taken, and no HEAD', () => {
    const { admission, queued } = setUp();
    queued.bytes = 99;
    assert.equal(admission.enter('body'), undefined);
    queued.bytes = 100;
    assert.equal(admission.enter('body'), 'queued-bytes');
    assert.equal(admission.enter('head'), undefined);
    queued.bytes = 90;
    assert.equal(admission.enter('body'), 'queued-bytes');
    queued.bytes = 89;
    assert.equal(admission.enter('body'), undefined);
    queued.bytes = 99;
    assert.equal(admission.enter('body'), undefined);
  });
});
