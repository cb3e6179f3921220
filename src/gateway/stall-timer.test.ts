import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { StallTimer } from './stall-timer.ts';

function timed(): { clock: VirtualClock; timer: StallTimer; stalls: () => number } {
  const clock = new VirtualClock();
  let stalls = 0;
  const timer = new StallTimer(clock, 100, () => stalls++);
  return { clock, timer, stalls: () => stalls };
}

describe('StallTimer', () => {
  it('fires once when what began does not end in time', () => {
    const { clock, timer, stalls } = timed();
    timer.begin();
    clock.advance(99);
    assert.equal(stalls(), 0);
    clock.advance(1);
    assert.equal(stalls(), 1);
    clock.advance(1000);
    assert.equal(stalls(), 1);
  });

  it('counts from the last beginning', () => {
    const { clock, timer, stalls } = timed();
    timer.begin();
    clock.advance(60);
    timer.end();
    timer.begin();
    clock.advance(99);
    assert.equal(stalls(), 0);
    clock.advance(1);
    assert.equal(stalls(), 1);
  });

  it('does not fire between an end and the next beginning', () => {
    const { clock, timer, stalls } = timed();
    timer.begin();
    timer.end();
    clock.advance(1000);
    timer.begin();
    timer.end();
    clock.advance(1000);
    assert.equal(stalls(), 0);
    assert.equal(clock.pending, 0);
  });

  it('leaves no timer when it is cleared', () => {
    const { clock, timer, stalls } = timed();
    timer.begin();
    timer.clear();
    timer.begin();
    assert.equal(clock.pending, 0);
    clock.advance(1000);
    assert.equal(stalls(), 0);
  });
});
