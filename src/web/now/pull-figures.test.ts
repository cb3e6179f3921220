import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flight, layer, pull } from '../../../test/web/states.ts';
import {
  areSameFlights,
  crowdWords,
  flightsByDigest,
  flightsOf,
  layerWords,
  pullSources,
  pullState,
  pullWords,
  sourceName,
} from './pull-figures.ts';

test('a layer says what it waits for, and why it failed', () => {
  assert.equal(
    layerWords(layer('a', 0, 'waiting', { waitingFor: 'an answer from a.example/app' })),
    'waiting for an answer from a.example/app',
  );
  assert.equal(
    layerWords(layer('a', 0.5, 'failed', { error: 'upstream answered 403' })),
    'failed: upstream answered 403',
  );
  assert.equal(layerWords(layer('a', 0.25, 'pulling')), 'pulling, 25\u00a0%');
});

test('an image that lacks a layer nobody asks for is not said to wait', () => {
  const partly = pull('a.example/app:1', 'incomplete', [layer('a', 1, 'done'), layer('b', 0, 'missing')]);
  assert.equal(pullWords(partly), '1 of 2 layers here, nobody asks for the rest');
  const waiting = pull('a.example/app:1', 'waiting', [layer('a', 1, 'done'), layer('b', 0, 'waiting')]);
  assert.equal(pullWords(waiting), 'waiting');
  assert.deepEqual([pullState(partly), pullState(waiting)], ['missing', 'waiting']);
  assert.equal(layerWords(layer('b', 0, 'missing')), 'not here, nobody asks for it');
});

test('the rate and the sources of a pull are those of its transfers in progress', () => {
  const shown = pull('a.example/app:1', 'pulling', [layer('a', 0.5, 'pulling'), layer('b', 1, 'done')]);
  const flights = flightsByDigest([
    flight('a', 'a.example/app', { rateBytesPerSecond: 1000 }),
    flight('b', 'b.example/app', { state: 'done', rateBytesPerSecond: 0 }),
    flight('c', 'c.example/other', { rateBytesPerSecond: 500 }),
  ]);
  assert.deepEqual(pullSources(shown, flights), { bytesPerSecond: 1000, sources: ['a.example/app'], connections: 1 });
});

test('a node that feeds another is named as operators know it', () => {
  assert.equal(sourceName('peer edge-2#5f1c02aa'), 'peer edge-2');
  assert.equal(sourceName('docker.io/library/nginx'), 'docker.io/library/nginx');
});

test('the crowd is counted by responses; addresses are named only up to a bound, and that is said', () => {
  assert.equal(crowdWords({ waiters: 0, clients: [] }), 'nobody waits');
  assert.equal(crowdWords({ waiters: 64, clients: ['10.0.0.1'] }), '64 responses to 1 address');
  const many = Array.from({ length: 20 }, (_, n) => `10.0.0.${n}`);
  assert.equal(crowdWords({ waiters: 1200, clients: many }), '1,200 responses to 20 or more addresses');
});

test('the transfers of a pull are others when one of them is, and not when those of another pull are', () => {
  const shown = pull('a.example/app:1', 'pulling', [layer('a', 0.5, 'pulling'), layer('b', 1, 'done')]);
  const [a, b, other] = [flight('a', 'a.example/app'), flight('b', 'a.example/app'), flight('c', 'c.example/other')];
  const before = flightsOf(shown, flightsByDigest([a, b, other]));
  assert.deepEqual([...before.values()], [a, b]);
  const same = (...flights: Parameters<typeof flightsByDigest>) =>
    areSameFlights(before, flightsOf(shown, flightsByDigest(...flights)));
  assert.equal(same([a, b, { ...other, waiters: 1 }]), true);
  assert.equal(same([{ ...a, waiters: 1 }, b, other]), false);
  assert.equal(same([a, other]), false);
});
