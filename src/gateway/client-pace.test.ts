import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClientPace } from './client-pace.ts';

const KiB = 1024;

describe("a client's pace", () => {
  it('is quick once it has taken more than kernels hold for it, not before', () => {
    const pace = new ClientPace();
    assert.ok(pace.isUntried);
    for (let block = 0; block < 15; block++) pace.took(256 * KiB, 1);
    assert.deepEqual([pace.pace, pace.isUntried], ['new', false]);
    pace.took(256 * KiB, 1);
    assert.equal(pace.pace, 'quick');
  });

  it('is slow from the first block that it takes long for, until it has been quick for as long again', () => {
    const pace = new ClientPace();
    for (let block = 0; block < 16; block++) pace.took(256 * KiB, 1);
    pace.took(32 * KiB, 90);
    assert.equal(pace.pace, 'quick', 'we may have been busy');
    pace.took(32 * KiB, 120);
    assert.equal(pace.pace, 'slow');
    pace.took(32 * KiB, 30);
    for (let block = 0; block < 127; block++) pace.took(32 * KiB, 1);
    assert.equal(pace.pace, 'slow');
    pace.took(32 * KiB, 1);
    assert.equal(pace.pace, 'quick');
  });

  it('may take the longer for a block the larger it is', () => {
    const pace = new ClientPace();
    for (let block = 0; block < 16; block++) pace.took(1024 * KiB, 200);
    assert.equal(pace.pace, 'quick');
    pace.took(1024 * KiB, 400);
    assert.equal(pace.pace, 'slow');
  });
});
