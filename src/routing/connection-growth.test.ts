import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ConnectionGrowth, firstGrowth, type GrowthWindow, grow, setBack } from './connection-growth.ts';

const MB = 1e6;
const limits = { maxConnections: 8 };

function window(bytesPerSecond: number, changes: Partial<GrowthWindow> = {}): GrowthWindow {
  return { bytesPerSecond, missingBytes: 1000 * MB, hasRoom: true, ...changes };
}

/** The numbers of connections that it goes through, where `n` of them bring `rate(n)` together. */
function path(rate: (connections: number) => number, max = 8): number[] {
  const steps: number[] = [];
  let growth: ConnectionGrowth = firstGrowth({ maxConnections: max });
  for (let turn = 0; turn < 20; turn++) {
    if (growth.connections !== steps.at(-1)) steps.push(growth.connections);
    growth = grow(growth, window(rate(growth.connections)), { maxConnections: max });
  }
  assert.ok(growth.isSettled);
  return steps;
}

describe('how many connections share a transfer', () => {
  it('doubles while each brings its own', () => {
    assert.deepEqual(
      path((n) => n * 10 * MB),
      [1, 2, 4, 8],
    );
  });

  it('stays within its maximum, whatever that is', () => {
    assert.deepEqual(
      path((n) => n * 10 * MB, 6),
      [1, 2, 4, 6],
    );
    assert.deepEqual(
      path((n) => n * 10 * MB, 1),
      [1],
    );
  });

  it('steps back to one where all share one limit', () => {
    assert.deepEqual(
      path(() => 10 * MB),
      [1, 2, 1],
    );
  });

  it('steps back to the last that paid', () => {
    assert.deepEqual(
      path((n) => Math.min(n, 4) * 10 * MB),
      [1, 2, 4, 8, 4],
    );
  });

  it('gives new connections some windows to come up to speed', () => {
    let growth = grow(firstGrowth(limits), window(10 * MB), limits);
    growth = grow(growth, window(11 * MB), limits);
    growth = grow(growth, window(12 * MB), limits);
    assert.equal(growth.connections, 2);
    assert.equal(grow(growth, window(20 * MB), limits).connections, 4);
    assert.deepEqual(
      [grow(growth, window(12 * MB), limits)].map(({ connections, isSettled }) => [connections, isSettled]),
      [[1, true]],
    );
  });

  it('does not begin for what ends within a second', () => {
    const soon = grow(firstGrowth(limits), window(10 * MB, { missingBytes: 9 * MB }), limits);
    assert.equal(soon.connections, 1);
    assert.equal(soon.isSettled, false);
  });

  it('does not grow while others wait, and does once they do not', () => {
    const waiting = grow(firstGrowth(limits), window(10 * MB, { hasRoom: false }), limits);
    assert.equal(waiting.connections, 1);
    assert.equal(grow(waiting, window(10 * MB), limits).connections, 2);
  });

  it('stays at what runs once another one is refused', () => {
    const two = grow(firstGrowth(limits), window(10 * MB), limits);
    const back = setBack(two, 1);
    assert.equal(back.connections, 1);
    assert.equal(grow(back, window(100 * MB), limits).connections, 1);
    assert.equal(setBack(two, 0).connections, 1);
    assert.equal(setBack(two, 7).connections, 2);
  });
});
