import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventStream } from '../../test/support/event-stream.ts';
import { eventFeedDefaults } from './event-feed.ts';
import { playedFeed, turn, until } from './testing/played-feed.ts';

const { lookMs } = eventFeedDefaults;
/** More than the system's own buffers hold for who does not read. */
const large = 'x'.repeat(32 * 1024 * 1024);

test('a look that does not end ends the streams: a page that stands still must not look alive', async (context) => {
  const { clock, state, feed, notices, url } = await playedFeed(context);
  await using viewer = await EventStream.open(url);
  await viewer.next();
  const gate = Promise.withResolvers<void>();
  state.gate = gate.promise;
  clock.advance(1000);
  assert.equal(state.running, 1);
  clock.advance(lookMs - 1);
  assert.deepEqual([feed.viewers, notices.length], [1, 0]);
  clock.advance(1);
  assert.equal(await viewer.next(), undefined);
  assert.deepEqual(
    notices.map(({ message }) => message),
    ['the state cannot be shown to viewers'],
  );
  const refused = await fetch(url);
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '30']);
  assert.match(await refused.text(), /has not ended/);
  clock.advance(60 * lookMs);
  assert.equal(state.looks, 2, 'nobody looks while another look is under way');
  state.value = 'b';
  gate.resolve();
  await until(() => feed.refusal === undefined);
  assert.deepEqual([state.clears, clock.pending], [1, 0]);
  await using next = await EventStream.open(url);
  assert.deepEqual(await next.next(), { event: 'state', data: { value: 'b' } });
});

test('a first look that does not end is given up, too', async (context) => {
  const { clock, state, url } = await playedFeed(context);
  const gate = Promise.withResolvers<void>();
  state.gate = gate.promise;
  await using viewer = await EventStream.open(url);
  await until(() => state.running === 1);
  clock.advance(lookMs);
  assert.equal(await viewer.next(), undefined);
  gate.reject(new Error('no luck'));
  await until(() => state.clears === 1);
  state.gate = Promise.resolve();
  await using next = await EventStream.open(url);
  assert.equal((await next.next())?.event, 'state');
});

test('while the state cannot be looked at, viewers are told that the connection is alive', async (context) => {
  const { state, url, tick } = await playedFeed(context);
  await using viewer = await EventStream.open(url);
  await viewer.next();
  state.fails = true;
  for (let seconds = 0; seconds < 21; seconds++) await tick();
  state.fails = false;
  await tick();
  assert.deepEqual(await viewer.next(), { event: 'state', data: { value: 'a' } });
  assert.equal(viewer.comments, 2);
});

test('those who come between two looks share one text, however many they are', async (context) => {
  const { state, url } = await playedFeed(context);
  await using first = await EventStream.open(url);
  await first.next();
  const before = state.wholes;
  const others = await Promise.all(Array.from({ length: 8 }, () => EventStream.open(url)));
  for (const other of others) assert.deepEqual(await other.next(), { event: 'state', data: { value: 'a' } });
  assert.equal(state.wholes, before);
  for (const other of others) await other[Symbol.asyncDispose]();
});

test('texts that nobody takes are bounded: who has waited longest with one is cut, and the others are not', async (context) => {
  const { state, feed, url, tick } = await playedFeed(context, { maxHeldBytes: 1024 });
  const newest = async (viewer: EventStream, value: string) => {
    const reading = viewer.until(({ data }) => data.value === value);
    let isRead = false;
    void reading.finally(() => {
      isRead = true;
    });
    while (!isRead) await turn();
    return reading;
  };
  state.value = `first ${large}`;
  await using slow = await EventStream.open(url);
  await using alike = await EventStream.open(url);
  await using quick = await EventStream.open(url);
  await newest(quick, state.value);
  await tick();
  assert.equal(feed.viewers, 3, 'two hold one text');
  for (let round = 2; feed.viewers === 3; round++) {
    state.value = `${round} ${large}`;
    await tick();
  }
  assert.equal(feed.viewers, 1);
  await newest(quick, state.value);
  for (const cut of [slow, alike]) await assert.rejects(cut.until(() => false));
  state.value = 'third';
  await tick();
  assert.deepEqual(await newest(quick, 'third'), { event: 'change', data: { value: 'third' } });
});
