import assert from 'node:assert/strict';
import { test } from 'node:test';
import { summariseProfiles } from '../../bench/support/profile/cpu-profile.ts';
import { profileTable } from '../../bench/support/profile/profile-table.ts';

function node(id: number, functionName: string, url = '', lineNumber = -1) {
  return { id, callFrame: { functionName, url, lineNumber } };
}

const thread = {
  startTime: 1_000_000,
  nodes: [
    node(1, '(idle)'),
    node(2, 'serve', 'file:///somewhere/src/gateway/server.ts', 41),
    node(3, 'serve', 'file:///somewhere/src/gateway/server.ts', 41),
    node(4, ''),
  ],
  samples: [2, 1, 3, 4],
  timeDeltas: [500, 1000, 4000, 2000, 0],
};

test('self times of a function add up, wherever it was called from and in whatever thread', () => {
  const { functions, busyMs, idleMs, threads } = summariseProfiles([thread, thread]);
  assert.deepEqual(functions, [
    { name: 'serve', place: 'src/gateway/server.ts:42', selfMs: 6, share: 1 },
    { name: '(anonymous)', place: '', selfMs: 0, share: 0 },
  ]);
  assert.deepEqual([busyMs, idleMs], [6, 8]);
  assert.deepEqual(threads, [
    { busyMs: 3, idleMs: 4 },
    { busyMs: 3, idleMs: 4 },
  ]);
});

test('what is outside of the time that was asked for is left out', () => {
  // Samples stand at 500, 1500, 5500 and 7500 µs after the start.
  const within = { fromNs: 1_001_000_000, toNs: 1_006_000_000 };
  const { functions, busyMs, idleMs } = summariseProfiles([thread], within);
  assert.deepEqual([busyMs, idleMs], [2, 4]);
  assert.deepEqual(
    functions.map(({ name }) => name),
    ['serve'],
  );
});

test('the table shows the first functions and their share of the time that was not idle', () => {
  const table = profileTable(summariseProfiles([thread]), 1);
  assert.match(table, /100\.0 % \| +3 \| serve +\| src\/gateway\/server\.ts:42/);
  assert.doesNotMatch(table, /anonymous/);
});
