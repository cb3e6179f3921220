import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ConcurrencyLimit, firstLimit, nextLimit } from './concurrency-limit.ts';

const ceiling = 12;

function after(state: ConcurrencyLimit, ...events: ('success' | 'idle' | 'overload')[]): ConcurrencyLimit {
  return events.reduce((limit, kind) => {
    if (kind === 'overload') return nextLimit(limit, { kind, lowered: limit.lowered }, ceiling);
    return nextLimit(limit, { kind: 'success', isUsed: kind === 'success' }, ceiling);
  }, state);
}

const times = <T>(count: number, event: T): T[] => Array.from({ length: count }, () => event);

describe('concurrency limit', () => {
  it('starts at the start value, the ceiling, or one', () => {
    assert.equal(firstLimit({ ceiling: 100, start: 16 }).limit, 16);
    assert.equal(firstLimit({ ceiling, start: 16 }).limit, ceiling);
    assert.equal(firstLimit({ ceiling: 0, start: 16 }).limit, 1);
  });

  it('is halved by overload, and never below one', () => {
    let state = firstLimit({ ceiling, start: 16 });
    const seen: number[] = [];
    for (let round = 0; round < 6; round++) {
      state = after(state, 'overload');
      seen.push(state.limit);
    }
    assert.deepEqual(seen, [6, 3, 1, 1, 1, 1]);
  });

  it('is lowered once by all that was begun under it', () => {
    const start = firstLimit({ ceiling, start: 16 });
    let state = start;
    for (let refused = 0; refused < 12; refused++) {
      state = nextLimit(state, { kind: 'overload', lowered: start.lowered }, ceiling);
    }
    assert.equal(state.limit, 6);
  });

  it('grows by one per round of successes, up to the ceiling', () => {
    const low = after(firstLimit({ ceiling, start: 16 }), 'overload');
    assert.equal(after(low, ...times(5, 'success' as const)).limit, 6);
    assert.equal(after(low, ...times(6, 'success' as const)).limit, 7);
    assert.equal(after(low, ...times(13, 'success' as const)).limit, 8);
    assert.equal(after(low, ...times(1000, 'success' as const)).limit, ceiling);
  });

  it('grows with each success until something is refused for the first time', () => {
    let state = firstLimit({ ceiling: 48, start: 16 });
    for (let round = 0; round < 16; round++) state = nextLimit(state, { kind: 'success', isUsed: true }, 48);
    assert.equal(state.limit, 32);
    state = nextLimit(state, { kind: 'overload', lowered: state.lowered }, 48);
    for (let round = 0; round < 16; round++) state = nextLimit(state, { kind: 'success', isUsed: true }, 48);
    assert.equal(state.limit, 17);
  });

  it('does not grow where nobody uses it', () => {
    const low = after(firstLimit({ ceiling, start: 16 }), 'overload');
    assert.equal(after(low, ...times(1000, 'idle' as const)).limit, low.limit);
  });

  it('is soon back at half of what was well before a run of failures', () => {
    const away = after(firstLimit({ ceiling, start: 16 }), ...times(10, 'overload' as const));
    assert.equal(away.limit, 1);
    assert.equal(after(away, ...times(5, 'success' as const)).limit, 6);
    assert.equal(after(away, ...times(10, 'success' as const)).limit, 6);
    assert.equal(after(away, ...times(11, 'success' as const)).limit, 7);
  });

  it('takes the half for less where a success came between two failures', () => {
    const state = after(firstLimit({ ceiling, start: 16 }), 'overload', 'success', 'overload');
    assert.equal(state.limit, 3);
    assert.equal(after(state, 'success', 'success').limit, 3);
  });

  it('finds about the capacity of an upstream that refuses what is beyond it, and stays there', () => {
    const capacity = 5;
    let state = firstLimit({ ceiling, start: 16 });
    const seen: number[] = [];
    for (let round = 0; round < 200; round++) {
      const { limit, lowered } = state;
      for (let body = 0; body < limit; body++) {
        const event = body < capacity ? ({ kind: 'success', isUsed: true } as const) : undefined;
        state = nextLimit(state, event ?? { kind: 'overload', lowered }, ceiling);
      }
      seen.push(state.limit);
    }
    const settled = seen.slice(20);
    assert.ok(Math.max(...settled) <= capacity + 1, `${settled}`);
    assert.ok(settled.reduce((sum, limit) => sum + limit, 0) / settled.length >= capacity * 0.6, `${settled}`);
  });
});
