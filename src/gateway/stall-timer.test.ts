import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Clock } from '../core/clock.ts';
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

  it('gives what was begun its time anew, once, where the process stood still', () => {
    const clock = new StandingClock();
    let stalls = 0;
    const timer = new StallTimer(clock, 100, () => stalls++);
    timer.begin();
    clock.standStill(5_000);
    assert.equal(stalls, 0);
    assert.equal(clock.dueInMs, 100);
    clock.standStill(5_000);
    assert.equal(stalls, 1);
  });

  it('gives no time anew for being a little late', () => {
    const clock = new StandingClock();
    let stalls = 0;
    const timer = new StallTimer(clock, 100, () => stalls++);
    timer.begin();
    clock.standStill(600);
    assert.equal(stalls, 1);
  });
});

/** Time passes without anything running; then the timer that was due fires, late. */
class StandingClock implements Clock {
  #nowMs = 0;
  #timer: { dueMs: number; callback: () => void } | undefined;

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void) {
    this.#timer = { dueMs: this.#nowMs + delayMs, callback };
    const clear = () => {
      this.#timer = undefined;
    };
    return { clear };
  }

  get dueInMs(): number | undefined {
    return this.#timer && this.#timer.dueMs - this.#nowMs;
  }

  standStill(ms: number): void {
    this.#nowMs += ms;
    const timer = this.#timer;
    if (timer === undefined || timer.dueMs > this.#nowMs) return;
    this.#timer = undefined;
    timer.callback();
  }
}
