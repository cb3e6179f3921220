import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busyState, effect, layer, pull } from '../../../test/web/states.ts';
import { type StateDocument, type StateParts, stateDocument } from '../../admin/state-document.ts';
import { patched } from '../../core/merge-patch.ts';
import { stateOf } from './live-state.ts';

/** As the page gets it. */
function told(changes: Partial<StateParts> = {}): StateDocument {
  return JSON.parse(JSON.stringify(stateDocument({ ...busyState(), ...changes })));
}

function after(document: StateDocument, patch: object) {
  return stateOf(patched(document, patch) as StateDocument);
}

test('it is what the other routes of the API say', () => {
  const parts = busyState();
  const state = stateOf(told(parts));
  const byImage = (pulls: StateParts['pulls'] = []) => [...pulls].sort((a, b) => (a.image < b.image ? -1 : 1));
  assert.deepEqual(byImage(state.pulls), JSON.parse(JSON.stringify(byImage(parts.pulls))));
  assert.equal(state.flights?.length, parts.flights.length);
  const shortened = parts.preheats.map(({ images, ...preheat }) => {
    return { ...preheat, images: images.map(({ layers: _, platforms: _1, ...image }) => image) };
  });
  assert.deepEqual(state.preheats, JSON.parse(JSON.stringify(shortened)), 'the latest first');
  assert.deepEqual(
    [state.upstreams, state.cluster, state.status, state.effect],
    JSON.parse(JSON.stringify([parts.upstreams, parts.cluster, parts.status, parts.effect])),
  );
  assert.equal(stateOf(told({ cluster: undefined })).cluster, null);
});

test('what did not change stays the same object', () => {
  const document = told();
  const before = stateOf(document);
  const [first, second] = before.pulls ?? [];
  assert.ok(first && second);
  const next = after(document, { pulls: { [second.id]: { waiters: 900, layers: { 0: { waiters: 900 } } } } });
  assert.equal(
    next.pulls?.find(({ id }) => id === first.id),
    first,
  );
  const changed = next.pulls?.find(({ id }) => id === second.id);
  assert.deepEqual([changed?.waiters, changed?.layers[0]?.waiters, changed?.image], [900, 900, second.image]);
  assert.equal(changed?.layers[1], second.layers[1]);
  for (const section of ['flights', 'preheats', 'upstreams', 'effect'] as const)
    assert.equal(next[section], before[section]);
});

test('of a preheat that goes on the images that wait, and other preheats, stay the same objects', () => {
  const document = told();
  const before = stateOf(document).preheats ?? [];
  const next = after(document, { preheats: { runs: { images: { 1: { filledBytes: 7 } } } } }).preheats ?? [];
  const place = before.findIndex(({ id }) => id === 'runs');
  assert.equal(next[place]?.images[1]?.filledBytes, 7);
  assert.equal(next[place]?.images[0], before[place]?.images[0]);
  assert.deepEqual(
    next.map((preheat, at) => preheat === before[at]),
    before.map(({ id }) => id !== 'runs'),
  );
});

test('the images that were asked for last come first, also where an old one is asked for again', () => {
  const old = pull('a.example/old:1', 'done', [layer('old', 1, 'done')], { lastAskedAtMs: 1000 });
  const recent = pull('a.example/recent:1', 'done', [layer('recent', 1, 'done')], { lastAskedAtMs: 2000 });
  const document = told({ pulls: [old, recent] });
  const order = ({ pulls }: ReturnType<typeof stateOf>) => pulls?.map(({ id }) => id);
  assert.deepEqual(order(stateOf(document)), [recent.id, old.id]);
  assert.deepEqual(order(after(document, { pulls: { [old.id]: { lastAskedAtMs: 3000 } } })), [old.id, recent.id]);
});

test('points are in the order of time, whatever the order in which they were told', () => {
  const whole = effect(3);
  const [first, second, third] = whole.points;
  assert.ok(first && second && third);
  const document = told({ effect: { ...whole, points: [second, third] } });
  const next = after(document, { effect: { points: { [first.atMs]: first, [third.atMs]: null } } });
  assert.deepEqual(next.effect?.points, [first, second]);
});
