import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventStream } from '../../test/support/event-stream.ts';
import { eventFeedDefaults } from './event-feed.ts';
import { playedFeed, turn, until } from './testing/played-feed.ts';

test('a viewer has the state at once, then what changes, at most once a second', async (context) => {
  const { clock, state, url, tick } = await playedFeed(context);
  await using viewer = await EventStream.open(url);
  assert.match(viewer.response.headers['content-type'] ?? '', /^text\/event-stream/);
  assert.deepEqual(await viewer.next(), { event: 'state', data: { value: 'a' } });
  for (const value of ['b', 'c', 'd']) {
    state.value = value;
    clock.advance(300);
  }
  assert.equal(state.looks, 1);
  await tick(100);
  assert.deepEqual(await viewer.next(), { event: 'change', data: { value: 'd' } });
  await tick();
  state.value = 'e';
  await tick();
  assert.deepEqual(
    await viewer.next(),
    { event: 'change', data: { value: 'e' } },
    'where nothing changed, nothing came',
  );
});

test('viewers share the looks and the texts; who comes later gets what stands there', async (context) => {
  const { state, url, tick } = await playedFeed(context);
  await using one = await EventStream.open(url);
  await one.next();
  const others = await Promise.all([1, 2, 3].map(() => EventStream.open(url)));
  for (const other of others) assert.deepEqual(await other.next(), { event: 'state', data: { value: 'a' } });
  assert.equal(state.looks, 1);
  state.value = 'b';
  await tick();
  assert.equal(state.looks, 2);
  for (const viewer of [one, ...others])
    assert.deepEqual(await viewer.next(), { event: 'change', data: { value: 'b' } });
  for (const other of others) await other[Symbol.asyncDispose]();
});

test('while nobody watches nothing is looked at, nothing is kept, and no timer runs', async (context) => {
  const { clock, state, feed, url } = await playedFeed(context);
  assert.deepEqual([state.looks, clock.pending], [0, 0]);
  const viewer = await EventStream.open(url);
  await viewer.next();
  await viewer[Symbol.asyncDispose]();
  await until(() => feed.viewers === 0);
  assert.deepEqual([state.looks, state.clears, clock.pending], [1, 1, 0]);
  clock.advance(60_000);
  assert.equal(state.looks, 1);
  await using next = await EventStream.open(url);
  assert.deepEqual(await next.next(), { event: 'state', data: { value: 'a' } });
  assert.equal(state.looks, 2);
});

test('who leaves during the first look leaves nothing behind', async (context) => {
  const { clock, state, feed, url } = await playedFeed(context);
  const gate = Promise.withResolvers<void>();
  state.gate = gate.promise;
  const viewer = await EventStream.open(url);
  await until(() => state.looks === 1);
  await viewer[Symbol.asyncDispose]();
  await until(() => feed.viewers === 0);
  gate.resolve();
  await until(() => state.clears === 1);
  assert.equal(clock.pending, 0);
});

test('a viewer that does not read gets no states in a queue, but the newest one when it reads again', async (context) => {
  const { state, feed, url, tick } = await playedFeed(context);
  const megabyte = 'x'.repeat(1024 * 1024);
  await using quick = await EventStream.open(url);
  await using slow = await EventStream.open(url);
  await quick.next();
  const rounds = 80;
  for (let round = 0; round < rounds; round++) {
    state.value = `${round} ${megabyte}`;
    await tick();
    await quick.next();
  }
  assert.equal(feed.viewers, 2);
  const got: string[] = [];
  await slow.until(({ event, data }) => {
    got.push(`${event} ${String(data.value).split(' ')[0]}`);
    return true;
  });
  // The system's own buffers hold some megabytes for it; the rest was never written.
  state.value = 'last';
  let isOver = false;
  const reading = slow.until(({ event, data }) => {
    got.push(`${event} ${String(data.value).split(' ')[0]}`);
    return data.value === 'last';
  });
  void reading.then(() => {
    isOver = true;
  });
  while (!isOver) await tick();
  await reading;
  assert.ok(got.length < rounds / 2, `${got.length} states`);
  assert.equal(got.at(-1)?.split(' ')[1], 'last');
  assert.ok(
    got.slice(1).some((each) => each.startsWith('state')),
    'after what it missed it got a whole state',
  );
});

test('one viewer too many is told so politely, and has its place when another one leaves', async (context) => {
  const { feed, url } = await playedFeed(context, { maxViewers: 3 });
  const viewers = await Promise.all([1, 2, 3].map(() => EventStream.open(url)));
  for (const viewer of viewers) await viewer.next();
  const refused = await fetch(url);
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '30']);
  assert.match(JSON.stringify(await refused.json()), /as many viewers/);
  await viewers[0]?.[Symbol.asyncDispose]();
  await until(() => feed.viewers === 2);
  await using next = await EventStream.open(url);
  assert.equal((await next.next())?.event, 'state');
  for (const viewer of viewers) await viewer[Symbol.asyncDispose]();
});

test('HEAD takes no place', async (context) => {
  const { feed, url } = await playedFeed(context);
  const response = await fetch(url, { method: 'HEAD' });
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  assert.equal(feed.viewers, 0);
});

test('where nothing changes, a comment says that the connection is alive', async (context) => {
  const { state, url, tick } = await playedFeed(context);
  await using viewer = await EventStream.open(url);
  await viewer.next();
  for (let seconds = 0; seconds < 21; seconds++) await tick();
  state.value = 'b';
  await tick();
  await viewer.next();
  assert.equal(viewer.comments, 2);
});

test('what takes long to look at is looked at less often', async (context) => {
  const { clock, state, url } = await playedFeed(context);
  await using viewer = await EventStream.open(url);
  await viewer.next();
  const gate = Promise.withResolvers<void>();
  state.gate = gate.promise;
  clock.advance(1000);
  assert.equal(state.looks, 2);
  clock.advance(50);
  gate.resolve();
  await until(() => state.running === 0);
  await turn();
  assert.equal(clock.nextDueInMs, 50 / eventFeedDefaults.mostShare - 50);
});

test('a state that cannot be looked at is said once, and viewers get it whole when it can', async (context) => {
  const { state, notices, url, tick } = await playedFeed(context);
  await using viewer = await EventStream.open(url);
  await viewer.next();
  state.fails = true;
  for (let seconds = 0; seconds < 3; seconds++) await tick();
  assert.equal(notices.length, 1);
  state.fails = false;
  await tick();
  assert.deepEqual(await viewer.next(), { event: 'state', data: { value: 'a' } });
});

test('closing ends every stream in order', async (context) => {
  const { feed, url } = await playedFeed(context);
  await using viewer = await EventStream.open(url);
  await viewer.next();
  feed[Symbol.dispose]();
  assert.equal(await viewer.next(), undefined);
  assert.equal((await fetch(url)).status, 503);
});
