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

  describe('for connections that share the work', () => {
    const split = { connections: 2, most: 4, overlaps: true, rangeBytes: 8 * MiB, leastRangeBytes: MiB };
    const optional = (start: number, end?: number) => ({ start, end, optional: true });
    const ending = (nextOffset: number, end: number) => ({ ...feed(nextOffset, end), isEnding: true });

    it('begins with a part', () => {
      assert.deepEqual(planRange(situation({ split, wants: [want(0)] })), range(0, 8 * MiB));
    });

    it('goes on with the first bytes that nobody brings, until enough do', () => {
      const filled: [number, number][] = [[0, 2 * MiB]];
      const feeds = [feed(2 * MiB, 8 * MiB)];
      assert.deepEqual(planRange(situation({ split, filled, feeds })), optional(8 * MiB, 16 * MiB));
      feeds.push(feed(8 * MiB, 16 * MiB));
      assert.equal(planRange(situation({ split, filled, feeds })), undefined);
    });

    it('comes back to the gap that one left', () => {
      const feeds = [feed(10 * MiB, 16 * MiB)];
      assert.deepEqual(planRange(situation({ split, feeds, filled: [[0, 3 * MiB]] })), optional(3 * MiB, 10 * MiB));
    });

    it('does not ask for what another one has before it', () => {
      const feeds = [feed(0)];
      assert.equal(planRange(situation({ split, feeds })), undefined);
    });

    it('follows one that is about to end, unless that would be one too many', () => {
      const filled: [number, number][] = [[0, 7 * MiB]];
      const feeds = [ending(7 * MiB, 8 * MiB), feed(8 * MiB, 16 * MiB)];
      assert.deepEqual(planRange(situation({ split, filled, feeds })), optional(16 * MiB, 24 * MiB));
      assert.equal(planRange(situation({ split: { ...split, overlaps: false }, filled, feeds })), undefined);
      assert.equal(planRange(situation({ split: { ...split, most: 2 }, filled, feeds })), undefined);
      assert.equal(planRange(situation({ split, filled, feeds, maxFeeds: 2 })), undefined);
    });

    it('asks for all of the rest where one connection is enough', () => {
      const one = { ...split, connections: 1, rangeBytes: Number.POSITIVE_INFINITY };
      assert.deepEqual(planRange(situation({ split: one, filled: [[0, 8 * MiB]] })), range(8 * MiB));
    });

    it('leaves no small rest', () => {
      const filled: [number, number][] = [[0, 91.5 * MiB]];
      assert.deepEqual(planRange(situation({ split, filled })), range(91.5 * MiB));
      assert.deepEqual(planRange(situation({ split, filled: [[0, 90 * MiB]] })), range(90 * MiB, 98 * MiB));
    });

    it('gives a reader at the front the same part, for which it may wait', () => {
      const feeds = [feed(20 * MiB, 28 * MiB), feed(28 * MiB, 36 * MiB)];
      const front = situation({ split, feeds, wants: [want(3 * MiB, 100 * MiB)], filled: [[0, 3 * MiB]] });
      assert.deepEqual(planRange(front), range(3 * MiB, 11 * MiB));
    });

    it('gives a reader far ahead all that it asked for', () => {
      const wants = [want(50 * MiB, 90 * MiB)];
      assert.deepEqual(planRange(situation({ split, feeds: [feed(0, 8 * MiB)], wants })), range(50 * MiB, 90 * MiB));
    });
  });
});
