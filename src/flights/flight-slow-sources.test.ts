import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { FlightWorld } from './testing/flight-world.ts';
import type { FollowingReader } from './testing/following-reader.ts';
import { type Attempt, ScriptedSource } from './testing/scripted-source.ts';

const size = 10_000;
const content = sampleBytes(1, size);
const digest = digestOf(content);
const all = 1_000_000;
/** A stall window is 10 s. */
const options = { minProgressBytes: 1000 };

describe('a source that drips', () => {
  let store: MemoryContentStore;
  let world: FlightWorld;
  let slow: ScriptedSource;
  let other: ScriptedSource;

  beforeEach(() => {
    store = new MemoryContentStore();
    world = new FlightWorld(store, digest, options);
    slow = new ScriptedSource('slow', content);
    other = new ScriptedSource('other', content, slow.sent);
  });

  afterEach(() => store[Symbol.asyncDispose]());

  async function joined(sources: ScriptedSource[]): Promise<FollowingReader> {
    const reader = await world.join(sources, size);
    reader.read(all);
    await world.quiet();
    return reader;
  }

  async function answered(source: ScriptedSource, index: number): Promise<Attempt> {
    const attempt = source.attempts[index];
    assert.ok(attempt, `attempt ${index} of ${source.name}`);
    if (!attempt.isAnswered) attempt.answer();
    await world.quiet();
    return attempt;
  }

  /** So many bytes each second, as long as it is listened to. */
  async function drips(attempt: Attempt, bytes: number, seconds: number): Promise<void> {
    for (let second = 0; second < seconds && !attempt.isOver; second++) {
      attempt.deliver(bytes);
      await world.quiet();
      world.clock.advance(1000);
      await world.quiet();
    }
  }

  async function completes(reader: FollowingReader): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      reader.read(all);
      await world.quiet();
    }
    assert.equal(reader.outcome, 'complete');
    assert.ok(Buffer.from(content).equals(Buffer.from(reader.received)));
    assert.ok(
      slow.sent.every((times) => times === 1),
      'a byte was fetched twice',
    );
    world.assertNothingLeft();
  }

  it('is replaced by another one at the first missing byte, and readers notice nothing', async () => {
    const reader = await joined([slow, other]);
    const dripping = await answered(slow, 0);
    await drips(dripping, 50, 11);
    assert.ok(dripping.isLeft);
    const next = await answered(other, 0);
    assert.equal(next.start, slow.sent.indexOf(0));
    assert.deepEqual(
      world.retries.map(({ cause, failover }) => [cause, failover]),
      [['UPSTREAM_STALLED', true]],
    );
    next.deliver(all);
    await world.quiet();
    await completes(reader);
  });

  it('is given one more connection where there is no other, and is then better than none', async () => {
    const reader = await joined([slow]);
    const first = await answered(slow, 0);
    await drips(first, 50, 11);
    assert.ok(first.isLeft);
    const second = await answered(slow, 1);
    await drips(second, 50, 60);
    assert.equal(second.isLeft, false);
    assert.equal(slow.attempts.length, 2);
    second.deliver(all);
    await world.quiet();
    await completes(reader);
  });

  it('is replaced after all when another one joins', async () => {
    const reader = await joined([slow]);
    await drips(await answered(slow, 0), 50, 11);
    const second = await answered(slow, 1);
    await drips(second, 50, 30);
    const late = await joined([other]);
    await drips(second, 50, 11);
    assert.ok(second.isLeft);
    (await answered(other, 0)).deliver(all);
    await world.quiet();
    late.leave();
    await completes(reader);
  });

  it('is forgiven once it has brought enough in a window again', async () => {
    await joined([slow]);
    await drips(await answered(slow, 0), 50, 11);
    const second = await answered(slow, 1);
    await drips(second, 200, 12);
    await drips(second, 10, 22);
    assert.ok(second.isLeft);
    assert.equal(slow.attempts.length, 3);
  });

  it('is kept where just enough comes', async () => {
    await joined([slow, other]);
    const dripping = await answered(slow, 0);
    await drips(dripping, 101, 60);
    assert.equal(dripping.isLeft, false);
  });

  it('is not blamed for the time that our disk takes', async () => {
    const reader = await joined([slow, other]);
    const dripping = await answered(slow, 0);
    const disk = Promise.withResolvers<void>();
    world.store.beforeWrite = () => disk.promise;
    dripping.deliver(50);
    await world.quiet();
    world.clock.advance(120_000);
    await world.quiet();
    assert.equal(dripping.isLeft, false);
    world.store.beforeWrite = undefined;
    disk.resolve();
    await world.quiet();
    dripping.deliver(all);
    await world.quiet();
    await completes(reader);
  });
});
