import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IntervalSet } from '../core/interval-set.ts';
import { type PlanSituation, planRange } from './range-planner.ts';

const MiB = 2 ** 20;
const limits = { patienceBytes: MiB, leastRangeBytes: MiB / 4, readThroughBytes: MiB / 4 };

function situation(changes: Partial<Omit<PlanSituation, 'filled'>> & { filled?: [number, number][] }): PlanSituation {
  const filled = new IntervalSet((changes.filled ?? []).map(([start, end]) => ({ start, end })));
  return { sizeBytes: 100 * MiB, feeds: [], wants: [], maxFeeds: 4, limits, ...changes, filled };
}

const feed = (nextOffset: number, end?: number, bytesPerSecond = 0) => ({
  nextOffset,
  end,
  bytesPerSecond,
  isEnding: false,
});
const range = (start: number, end?: number) => ({ start, end, optional: false });
const want = (from: number, to?: number) => ({ from, to });

describe('the range planner', () => {
  it('asks for the whole blob when nobody wants a part', () => {
    assert.deepEqual(planRange(situation({})), range(0));
    assert.deepEqual(planRange(situation({ wants: [want(0)] })), range(0));
  });

  it('opens nothing more while a feed is on its way to what is wanted', () => {
    assert.equal(planRange(situation({ feeds: [feed(5 * MiB)], wants: [want(5 * MiB)] })), undefined);
    assert.equal(planRange(situation({ feeds: [feed(5 * MiB)], wants: [want(5.5 * MiB)] })), undefined);
  });

  it('gives a reader far ahead a range of its own, to the end of what it asked for', () => {
    const plan = planRange(situation({ feeds: [feed(5 * MiB)], wants: [want(50 * MiB, 60 * MiB)] }));
    assert.deepEqual(plan, range(50 * MiB, 60 * MiB));
  });

  it('lets a reader wait for a feed that will be there within a second', () => {
    const fast = feed(5 * MiB, undefined, 60 * MiB);
    assert.equal(planRange(situation({ feeds: [fast], wants: [want(50 * MiB, 60 * MiB)] })), undefined);
  });

  it('does not count on a feed that another one stands in front of', () => {
    const plan = planRange(
      situation({ feeds: [feed(0, undefined, 500 * MiB), feed(10 * MiB, 11 * MiB)], wants: [want(50 * MiB)] }),
    );
    assert.deepEqual(plan, range(50 * MiB));
  });

  it('does not count on a feed that ends before', () => {
    const plan = planRange(situation({ feeds: [feed(0, 20 * MiB, 500 * MiB)], wants: [want(20 * MiB, 30 * MiB)] }));
    assert.deepEqual(plan, range(20 * MiB, 30 * MiB));
  });

  it('rounds small ranges up, but not into what is there or on its way', () => {
    const small = want(50 * MiB, 50 * MiB + 100);
    assert.deepEqual(planRange(situation({ feeds: [feed(0)], wants: [small] })), range(50 * MiB, 50 * MiB + MiB / 4));
    const near = situation({ feeds: [feed(0)], wants: [small], filled: [[50 * MiB + 1000, 60 * MiB]] });
    assert.deepEqual(planRange(near), range(50 * MiB, 50 * MiB + 1000));
    const nearFeed = situation({ feeds: [feed(0), feed(50 * MiB + 1000)], wants: [small] });
    assert.deepEqual(planRange(nearFeed), range(50 * MiB, 50 * MiB + 1000));
  });

  it('fills the first gap when no feed is left, up to what is there', () => {
    const filled: [number, number][] = [
      [0, 10 * MiB],
      [30 * MiB, 40 * MiB],
    ];
    assert.deepEqual(planRange(situation({ filled })), range(10 * MiB, 30 * MiB));
  });

  it('reads through a short stretch that is there rather than asking twice', () => {
    const filled: [number, number][] = [
      [0, 10 * MiB],
      [30 * MiB, 30 * MiB + 1000],
    ];
    assert.deepEqual(planRange(situation({ filled })), range(10 * MiB));
  });

  it('stays within the number of feeds allowed', () => {
    const feeds = [feed(0), feed(20 * MiB), feed(40 * MiB), feed(60 * MiB)];
    assert.equal(planRange(situation({ feeds, wants: [want(80 * MiB)] })), undefined);
    assert.equal(planRange(situation({ feeds: [feed(0)], wants: [want(80 * MiB)], maxFeeds: 1 })), undefined);
  });

  it('has one feed while the size is unknown, from the end of what is there', () => {
    const unknown = { sizeBytes: undefined, filled: [[0, 500]] as [number, number][] };
    assert.deepEqual(planRange(situation({ ...unknown, wants: [want(10 * MiB)] })), range(500));
    assert.equal(planRange(situation({ ...unknown, feeds: [feed(500)], wants: [want(10 * MiB)] })), undefined);
  });

  it('serves the reader that waits furthest behind first', () => {
    const wants = [want(80 * MiB, 81 * MiB), want(40 * MiB, 41 * MiB)];
    assert.deepEqual(planRange(situation({ feeds: [feed(0)], wants })), range(40 * MiB, 41 * MiB));
  });

  it('has nothing to do when all is there', () => {
    assert.equal(planRange(situation({ filled: [[0, 100 * MiB]] })), undefined);
  });
});
