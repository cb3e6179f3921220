import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busyState, effect, flight, layer, pull, status } from '../../../test/web/states.ts';
import { applyChange, nothingKnown } from './live-state.ts';

test('a whole state replaces all that was known before', () => {
  const before = applyChange(nothingKnown, busyState());
  const after = applyChange(before, { isWhole: true, pulls: [], status: status() });
  assert.deepEqual(after.pulls, []);
  assert.equal(after.upstreams, undefined);
  assert.ok(after.status);
});

test('a change touches only the entries that are in it, and what did not change stays the same object', () => {
  const before = applyChange(nothingKnown, busyState());
  const [first, second] = before.pulls ?? [];
  assert.ok(first && second);
  const changed = { ...second, waiters: 900 };
  const after = applyChange(before, { isWhole: false, pulls: [changed] });
  assert.equal(
    after.pulls?.find(({ id }) => id === first.id),
    first,
  );
  assert.equal(after.pulls?.find(({ id }) => id === second.id)?.waiters, 900);
  assert.equal(after.pulls?.length, before.pulls?.length);
  assert.equal(after.upstreams, before.upstreams);
});

test('what is gone is shown no more', () => {
  const before = applyChange(nothingKnown, busyState());
  const [pulled] = before.pulls ?? [];
  const [transfer] = before.flights ?? [];
  assert.ok(pulled && transfer);
  const after = applyChange(before, { isWhole: false, gone: { pulls: [pulled.id], flights: [transfer.id] } });
  assert.equal(
    after.pulls?.some(({ id }) => id === pulled.id),
    false,
  );
  assert.equal(
    after.flights?.some(({ id }) => id === transfer.id),
    false,
  );
});

test('the images that were asked for last come first, also where an old one is asked for again', () => {
  const old = pull('a.example/old:1', 'done', [layer('old', 1, 'done')], { lastAskedAtMs: 1000 });
  const recent = pull('a.example/recent:1', 'done', [layer('recent', 1, 'done')], { lastAskedAtMs: 2000 });
  const before = applyChange(nothingKnown, { isWhole: true, pulls: [old, recent] });
  assert.deepEqual(
    before.pulls?.map(({ id }) => id),
    [recent.id, old.id],
  );
  const after = applyChange(before, { isWhole: false, pulls: [{ ...old, lastAskedAtMs: 3000 }] });
  assert.deepEqual(
    after.pulls?.map(({ id }) => id),
    [old.id, recent.id],
  );
});

test('new points continue the history, which stays within its bound', () => {
  const whole = { ...effect(5), maxPoints: 6 };
  const before = applyChange(nothingKnown, { isWhole: true, flights: [flight('one', 'a.example/app')], effect: whole });
  const last = whole.points.at(-1);
  assert.ok(last);
  const added = [1, 2].map((n) => ({ ...last, atMs: last.atMs + n * whole.stepMs }));
  const after = applyChange(before, { isWhole: false, effect: { ...whole, points: added } });
  assert.deepEqual(after.effect?.points, [...whole.points.slice(1), ...added]);
  const same = applyChange(after, { isWhole: false, effect: { ...whole, points: [] } });
  assert.deepEqual(same.effect?.points, after.effect?.points);
});
