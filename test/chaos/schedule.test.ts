import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { faultKinds } from './fault-kinds.ts';
import { type PlannedFault, schedule } from './schedule.ts';

const kinds = faultKinds.map(({ name }) => name);
const first = (count: number, seed: number, only: readonly string[] = kinds): PlannedFault[] => [
  ...schedule({ seed, kinds: only, everyMs: 1000 }).take(count),
];

describe('the schedule of faults', () => {
  test('is the same for a seed and another for another', () => {
    assert.deepEqual(first(100, 1), first(100, 1));
    assert.notDeepEqual(first(100, 1), first(100, 2));
  });

  test('brings every kind up equally often, in the order of their start', () => {
    const faults = first(25 * 4, 3, kinds.filter((name) => name !== 'no-dns' && name !== 'leave').slice(0, 25));
    const counts = Object.values(Object.groupBy(faults, ({ kind }) => kind)).map((some) => some?.length);
    assert.deepEqual(
      counts,
      Array.from({ length: 25 }, () => 4),
    );
    assert.deepEqual(
      faults,
      faults.toSorted((a, b) => a.fromMs - b.fromMs),
    );
  });

  test('lets onepull suffer one thing at a time, and one mirror at most send wrong bytes', () => {
    const faults = first(1000, 4);
    const alone = (some: readonly PlannedFault[]) => {
      for (const [n, fault] of some.entries()) {
        const before = some[n - 1];
        if (before !== undefined)
          assert.ok(before.fromMs + before.lengthMs <= fault.fromMs, JSON.stringify([before, fault]));
      }
    };
    alone(faults.filter(({ target }) => target === 'onepull'));
    alone(faults.filter(({ kind }) => kind === 'corrupt'));
  });

  test('lets an endpoint suffer two things at a time at most', () => {
    const faults = first(1000, 6).filter(({ target }) => target === 'a2');
    const atOnce = faults.map(
      ({ fromMs }) => faults.filter((other) => other.fromMs <= fromMs && fromMs < other.fromMs + other.lengthMs).length,
    );
    assert.equal(Math.max(...atOnce), 2);
  });

  test('is empty where nothing comes and goes', () => {
    assert.deepEqual(first(1, 5, ['leave', 'no-dns']), []);
  });
});
