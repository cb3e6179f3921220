import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FillMark } from '../../core/fill-mark.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { type FillSleeper, FillWatch } from './fill-watch.ts';

function watched() {
  const clock = new VirtualClock();
  const told: (readonly (readonly [number, number])[])[] = [];
  const mark = new FillMark();
  const watch = new FillWatch({ clock, tell: (at) => told.push(at) }, mark);
  const woken: number[] = [];
  let lastBody = 0;
  return {
    clock,
    told,
    watch,
    mark,
    woken,
    fill: (...filled: [number, number][]) =>
      mark.write({ filled: filled.map(([start, end]) => ({ start, end })), heldFrom: 10_000, verified: false }),
    sleep(offset: number): FillSleeper {
      const body = ++lastBody;
      const sleeper = { body, offset, wake: () => void woken.push(body) };
      watch.add(sleeper);
      return sleeper;
    },
    /** A change is told to this thread in a task of its own. */
    async turn() {
      for (let count = 0; count < 3; count++) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe('readers that wait for one fill', () => {
  it('are woken when there is more for them, each once, and sleep on where there is not', async () => {
    const { fill, sleep, turn, woken, watch, clock } = watched();
    fill([0, 100]);
    sleep(100);
    sleep(500);
    fill([0, 200]);
    await turn();
    assert.deepEqual(woken, [1]);
    fill([0, 600]);
    await turn();
    assert.deepEqual(woken, [1, 2]);
    assert.equal(watch.sleepers, 0);
    assert.equal(clock.pending, 0);
  });

  it('find what came between their look and their sleep', async () => {
    const { fill, sleep, turn, woken } = watched();
    fill([0, 100]);
    sleep(50);
    assert.deepEqual(woken, [], 'never before it sleeps');
    await turn();
    assert.deepEqual(woken, [1]);
  });

  it('are woken when it is over', async () => {
    const { mark, sleep, turn, woken } = watched();
    sleep(0);
    await turn();
    assert.deepEqual(woken, []);
    mark.end();
    await turn();
    assert.deepEqual(woken, [1]);
  });

  it('are told of at once where they wait ahead of what comes, together, and each only once', () => {
    const { fill, sleep, clock, told } = watched();
    fill([0, 100]);
    sleep(5000);
    sleep(7000);
    clock.advance(0);
    assert.deepEqual(told, [
      [
        [1, 5000],
        [2, 7000],
      ],
    ]);
    clock.advance(10_000);
    assert.equal(told.length, 1);
    assert.equal(clock.pending, 0, 'no timer for those that were told of');
  });

  it('are told of at most every 50 ms', () => {
    const { fill, sleep, clock, told } = watched();
    fill([0, 100]);
    sleep(5000);
    clock.advance(0);
    clock.advance(10);
    sleep(6000);
    clock.advance(39);
    assert.equal(told.length, 1);
    clock.advance(1);
    assert.deepEqual(told[1], [[2, 6000]]);
  });

  it('are not told of where it comes to them, unless nothing comes for a while', async () => {
    const { fill, sleep, clock, told, turn } = watched();
    for (let end = 100; end < 2000; end += 100) {
      fill([0, end]);
      await turn();
      sleep(end);
      clock.advance(60);
    }
    assert.deepEqual(told, []);
    clock.advance(40);
    assert.deepEqual(told, [[[19, 1900]]]);
  });

  it('that have left are told of no more', () => {
    const { fill, sleep, watch, clock, told } = watched();
    fill([0, 100]);
    watch.delete(sleep(5000));
    clock.advance(1000);
    assert.deepEqual(told, []);
    assert.equal(clock.pending, 0);
  });
});
