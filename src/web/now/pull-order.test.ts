import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layer, pull } from '../../../test/web/states.ts';
import { PullOrder } from './pull-order.ts';

const pulling = (name: string, firstAskedAtMs: number) =>
  pull(`a.example/${name}:1`, 'pulling', [layer(name, 0.5, 'pulling')], {
    firstAskedAtMs,
    lastAskedAtMs: firstAskedAtMs,
  });
const ended = (name: string, firstAskedAtMs: number) =>
  pull(`a.example/${name}:1`, 'done', [layer(name, 1, 'done')], { firstAskedAtMs, lastAskedAtMs: firstAskedAtMs });
const names = (pulls: readonly { readonly image: string }[]) =>
  pulls.map(({ image }) => image.slice('a.example/'.length, -2));

test('pulls stand in the order in which they began, however often they are asked for', () => {
  const order = new PullOrder();
  const [a, b] = [pulling('a', 1), pulling('b', 2)];
  assert.deepEqual(names(order.update([b, a], 0).active), ['a', 'b']);
  const shown = order.update([{ ...a, lastAskedAtMs: 99 }, pulling('c', 0), b], 1000);
  assert.deepEqual(names(shown.active), ['a', 'b', 'c'], 'one that is seen later moves no other');
});

test('what ends stays where it was for a while, then it is among those that ended', () => {
  const order = new PullOrder();
  order.update([pulling('a', 1), pulling('b', 2)], 0);
  const now = [ended('a', 1), pulling('b', 2)];
  assert.deepEqual(names(order.update(now, 4000).active), ['a', 'b']);
  assert.deepEqual(names(order.update(now, 9000).active), ['a', 'b'], 'five seconds after it was told to have ended');
  const later = order.update(now, 9001);
  assert.deepEqual(names(later.active), ['b']);
  assert.deepEqual(names(later.ended), ['a']);
});

test('what is served from the cache alone, or lacks a layer that nobody asks for, is not in progress', () => {
  const order = new PullOrder();
  const served = pull('a.example/served:1', 'done', [layer('s', 1, 'done', { waiters: 40 })]);
  const partly = pull('a.example/partly:1', 'incomplete', [layer('p', 1, 'done'), layer('q', 0, 'missing')]);
  assert.deepEqual(order.update([served, partly], 0).active, []);
});

test('one that the server forgot is gone at once', () => {
  const order = new PullOrder();
  order.update([pulling('a', 1)], 0);
  assert.deepEqual(order.update([], 10), { active: [], ended: [] });
});

test('while nothing changes but the clock, nothing is made anew', () => {
  const order = new PullOrder();
  const running = [pulling('a', 1), pulling('b', 2)];
  const shown = order.update(running, 0);
  assert.equal(order.update(running, 60_000), shown);
  const now = [ended('a', 1), pulling('b', 2)];
  const lingers = order.update(now, 61_000);
  assert.deepEqual(names(lingers.active), ['a', 'b'], 'it was in progress until now, however long nothing was told');
  assert.equal(order.update(now, 66_000), lingers);
  const gone = order.update(now, 66_001);
  assert.deepEqual([names(gone.active), names(gone.ended)], [['b'], ['a']]);
  assert.equal(order.update(now, 99_000), gone);
});
