import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preheat, preheatImage } from '../../../test/web/states.ts';
import type { PreheatImageSnapshot, PreheatSnapshot } from '../../pull/preheat/preheat-snapshot.ts';
import type { ShownPreheat } from '../state/live-state.ts';
import {
  amountWords,
  failureOf,
  imageShare,
  imageState,
  imageWords,
  preheatAmount,
  preheatName,
  preheatShare,
  preheatState,
  preheatWords,
} from './preheat-figures.ts';

const plain = (text: string | undefined) => text?.replaceAll('\u00a0', ' ');
const begun = { sizeBytes: 0 };

function shown(state: PreheatSnapshot['state'], ...images: readonly PreheatImageSnapshot[]): ShownPreheat {
  return preheat('x', state, images);
}

test('an image says what it does, for what it waits, and why it failed', () => {
  const words = (...image: Parameters<typeof preheatImage>) => plain(imageWords(preheatImage(...image)));
  assert.equal(words('a', 'waiting', 0), 'waiting for its turn');
  assert.equal(words('a', 'pulling', 0, begun), 'asking what belongs to it');
  assert.equal(words('a', 'pulling', 0.25), 'pulling, 25 %');
  assert.equal(words('a', 'pulling', 0, { waitingFor: 'a place' }), 'waiting for a place');
  assert.equal(words('a', 'failed', 0.2, { error: 'no such tag' }), 'failed: no such tag');
  assert.equal(words('a', 'cancelled', 0.2), 'cancelled');
  assert.equal(imageState(preheatImage('a', 'pulling', 0, { waitingFor: 'a place' })), 'waiting');
  assert.equal(imageState(preheatImage('a', 'pulling', 0)), 'pulling');
});

test('a bar is full where all is here, also of nothing, and says nothing before it is known what is to come', () => {
  assert.equal(imageShare(preheatImage('a', 'done', 0, { sizeBytes: 0 })), 1);
  assert.equal(imageShare(preheatImage('a', 'pulling', 0, begun)), undefined);
  assert.equal(imageShare(preheatImage('a', 'pulling', 0.5)), 0.5);
  assert.equal(amountWords({ sizeBytes: 0, filledBytes: 0 }), undefined);
  assert.equal(plain(amountWords({ sizeBytes: 2048, filledBytes: 1024 })), '1.0 KiB of 2.0 KiB');
  assert.equal(plain(amountWords({ sizeBytes: 2048, filledBytes: 2048 })), '2.0 KiB');
});

test('of several images none is there before its bytes are, however small the others are', () => {
  const running = shown(
    'running',
    preheatImage('a', 'done', 1),
    preheatImage('b', 'pulling', 0.5),
    preheatImage('c', 'waiting', 0),
  );
  assert.equal(preheatShare(running), 0.5);
  assert.equal(preheatName(running), '3 images');
  assert.equal(plain(preheatAmount(running)), '120.0 MiB so far', 'what the third has is not known');
  assert.equal(preheatWords(running), '1 of 3 images here');
  assert.equal(preheatState(running), 'pulling');
  const resting = shown(
    'running',
    preheatImage('a', 'done', 1),
    preheatImage('b', 'pulling', 0, { waitingFor: 'a rest' }),
  );
  assert.equal(preheatState(resting), 'waiting', 'nothing of it comes now');
  assert.equal(plain(preheatAmount(resting)), '80.0 MiB of 160.0 MiB');
});

test('what failed among several is named with its cause, and what was left out is counted', () => {
  const [one, other] = ['a', 'b'].map((name) => preheatImage(name, 'failed', 0, { error: `no ${name}` }));
  assert.ok(one && other);
  const failed = shown('failed', preheatImage('c', 'done', 1), one, other);
  assert.equal(preheatWords(failed), '1 of 3 images here, 2 failed');
  assert.equal(failureOf(failed), 'a: no a; and 1 other failed');
  const cancelled = shown('cancelled', preheatImage('c', 'done', 1), preheatImage('d', 'cancelled', 0));
  assert.equal(preheatWords(cancelled), '1 of 2 images here, 1 cancelled');
  assert.equal(failureOf(cancelled), undefined);
  assert.equal(
    preheatWords(shown('done', preheatImage('c', 'done', 1), preheatImage('d', 'done', 1))),
    'all 2 images here',
  );
});

test('one image alone speaks for its preheat', () => {
  const failed = shown('failed', preheatImage('r.example/a:1', 'failed', 0, { error: 'no such tag' }));
  assert.deepEqual([preheatName(failed), preheatWords(failed)], ['r.example/a:1', 'failed: no such tag']);
  assert.equal(failureOf(failed), undefined, 'its words say it');
});
