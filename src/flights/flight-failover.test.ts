import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import type { FlightTableOptions } from './flight-table.ts';
import type { SourceStanding } from './source.ts';
import { FlightWorld } from './testing/flight-world.ts';
import type { FollowingReader } from './testing/following-reader.ts';
import { type Attempt, ScriptedSource } from './testing/scripted-source.ts';

const size = 10_000;
const content = sampleBytes(1, size);
const digest = digestOf(content);
const all = 1_000_000;

const failed = () => new AppError('UPSTREAM_FAILED', 'broken');
const missing = () => new AppError('BLOB_UNKNOWN', 'not here');
const limited = (retryAfterMs: number) => new AppError('UPSTREAM_RATE_LIMITED', 'later', { retryAfterMs });
const code = (outcome: unknown) => (outcome instanceof AppError ? outcome.code : outcome);

describe('a flight with two sources', () => {
  let store: MemoryContentStore;
  let world: FlightWorld;
  let a: ScriptedSource;
  let b: ScriptedSource;

  beforeEach(() => {
    store = new MemoryContentStore();
    a = new ScriptedSource('a', content);
    b = new ScriptedSource('b', content, a.sent);
    start();
  });

  afterEach(() => store[Symbol.asyncDispose]());

  function start(options: Partial<FlightTableOptions> = {}): void {
    world = new FlightWorld(store, digest, options);
  }

  function stands(source: ScriptedSource, changes: Partial<SourceStanding>): void {
    source.standsAt = { ...source.standsAt, ...changes };
  }

  async function joined(sources: ScriptedSource[] = [a, b], sizeBytes: number | undefined = size) {
    const reader = await world.join(sources, sizeBytes);
    reader.read(all);
    await world.quiet();
    return reader;
  }

  function asked(source: ScriptedSource, index: number): Attempt {
    const attempt = source.attempts[index];
    assert.ok(attempt, `attempt ${index} of ${source.name}`);
    return attempt;
  }

  async function refused(source: ScriptedSource, index: number, error: AppError): Promise<void> {
    asked(source, index).refuse(error);
    await world.quiet();
  }

  async function brought(source: ScriptedSource, index: number, bytes: number): Promise<Attempt> {
    const attempt = asked(source, index);
    if (!attempt.isAnswered) attempt.answer();
    await world.quiet();
    attempt.deliver(bytes);
    await world.quiet();
    return attempt;
  }

  async function later(ms: number): Promise<void> {
    world.clock.advance(ms);
    await world.quiet();
  }

  async function completes(reader: FollowingReader): Promise<void> {
    for (let turn = 0; turn < 5; turn++) {
      reader.read(all);
      await world.quiet();
    }
    assert.equal(reader.outcome, 'complete');
    assert.ok(a.sent.every((times) => times === 1));
    world.assertNothingLeft();
  }

  const waitingFor = () => world.table.snapshot(digest)?.waitingFor;

  it('asks the one in better standing', async () => {
    stands(b, { cost: -1 });
    const reader = await joined();
    assert.equal(a.attempts.length, 0);
    await brought(b, 0, all);
    await completes(reader);
  });

  it('goes to the other at once when one breaks, at the first missing byte', async () => {
    const reader = await joined();
    (await brought(a, 0, 4000)).cut();
    await world.quiet();
    assert.equal(asked(b, 0).start, 4000);
    assert.deepEqual(world.retries, [
      { upstream: 'test', kind: 'blob', cause: 'UPSTREAM_INTERRUPTED', failover: true },
    ]);
    await brought(b, 0, all);
    await completes(reader);
  });

  it('pauses before it comes back to one that failed', async () => {
    const reader = await joined();
    await refused(a, 0, failed());
    await refused(b, 0, failed());
    assert.equal(a.attempts.length, 1);
    assert.equal(waitingFor(), 'another attempt in 1 s after: broken');
    await later(200);
    assert.deepEqual(
      world.retries.map(({ failover }) => failover),
      [true, true],
    );
    await brought(a, 1, all);
    await completes(reader);
  });

  it('does not pause where the other one has never been asked, though a pause is on', async () => {
    const first = await joined([a]);
    await refused(a, 0, failed());
    const second = await joined([b]);
    await brought(b, 0, all);
    for (const reader of [first, second]) {
      reader.read(all);
      await world.quiet();
      assert.equal(reader.received.length, size);
    }
  });

  it('tells what may pass, not that one of them does not have the blob', async () => {
    start({ headerPatienceMs: 1000 });
    const reader = await joined();
    await refused(a, 0, missing());
    await refused(b, 0, limited(42_000));
    assert.equal(code(reader.outcome), 'UPSTREAM_RATE_LIMITED');
    assert.ok(reader.outcome instanceof AppError);
    assert.equal(reader.outcome.retryAfterMs, 42_000);
    world.assertNothingLeft();
  });

  it('says that the blob is not there where neither has it', async () => {
    const reader = await joined();
    await refused(a, 0, missing());
    await refused(b, 0, missing());
    assert.equal(code(reader.outcome), 'BLOB_UNKNOWN');
    world.assertNothingLeft();
  });

  it('stops waiting for one that others have found dead', async () => {
    const reader = await joined();
    await later(1000);
    assert.equal(b.attempts.length, 0);
    stands(a, { restMs: 30_000, restReason: 'a is down' });
    await later(250);
    assert.ok(asked(a, 0).isLeft);
    assert.equal(world.retries.length, 1);
    await brought(b, 0, all);
    await completes(reader);
  });

  it('goes on waiting for one that rests where the other rests too', async () => {
    await joined();
    for (const source of [a, b]) stands(source, { restMs: 30_000 });
    await later(1000);
    assert.equal(asked(a, 0).isLeft, false);
    await brought(a, 0, all);
    assert.equal(await store.sizeOf(digest), size);
  });

  it('asks one that is known to rest only to hear why, and then waits for whoever is ready first', async () => {
    for (const source of [a, b]) stands(source, { restMs: 30_000, restReason: 'they limit us' });
    const reader = await joined();
    await refused(a, 0, limited(30_000));
    assert.equal(waitingFor(), 'they limit us: 30 s left');
    await later(29_999);
    assert.equal(waitingFor(), 'they limit us: 1 s left');
    assert.deepEqual([a.attempts.length, b.attempts.length], [1, 0]);
    for (const source of [a, b]) stands(source, { restMs: 0 });
    await later(1);
    await brought(b, 0, all);
    await completes(reader);
  });

  it('goes on as soon as a rest is cut short', async () => {
    const reader = await joined([a]);
    stands(a, { restMs: 30_000 });
    await refused(a, 0, failed());
    await later(1000);
    stands(a, { restMs: 0 });
    await later(250);
    await brought(a, 1, all);
    await completes(reader);
  });

  it('waits on where a rest is made longer', async () => {
    await joined([a]);
    await refused(a, 0, limited(1000));
    stands(a, { restMs: 5000 });
    await later(1000);
    assert.equal(a.attempts.length, 1);
    stands(a, { restMs: 0 });
    await later(250);
    assert.equal(a.attempts.length, 2);
  });

  it('discredits only those whose bytes are in a wrong body', async () => {
    await joined();
    await refused(a, 0, failed());
    asked(b, 0).answer();
    await world.quiet();
    asked(b, 0).deliver(all, (chunk) => chunk.reverse());
    await world.quiet();
    assert.equal(a.discredits.length, 0);
    assert.equal(b.discredits.length, 1);
    assert.equal(asked(a, 1).start, 0, 'one that failed is better than one that lied');
  });

  it('asks the other where one contradicts the size that is known', async () => {
    const reader = await joined();
    asked(a, 0).answer({ sizeBytes: 77 });
    await world.quiet();
    assert.ok(!world.events.some(({ event }) => event === 'discarded-body'));
    assert.equal(a.discredits.length, 0);
    await brought(b, 0, all);
    await completes(reader);
  });

  it('goes on with ranges of the other where one ignores them', async () => {
    const reader = await joined();
    (await brought(a, 0, 4000)).cut();
    await world.quiet();
    asked(b, 0).answer({ ignoreRange: true });
    await world.quiet();
    (await brought(b, 0, 1000)).cut();
    await world.quiet();
    await later(200);
    assert.equal(asked(a, 1).start, 4000);
    asked(a, 1).answer();
    await world.quiet();
    const ahead = await world.join([a, b], size, { start: 8000, end: 8500 });
    ahead.read(all);
    await world.quiet();
    assert.equal(asked(a, 2).start, 8000, 'a range beside it');
    await brought(a, 2, 500);
    assert.equal(ahead.received.length, 500);
    reader.leave();
    ahead.leave();
  });

  it('says what a source that is asked waits for', async () => {
    const reader = await joined();
    assert.equal(waitingFor(), 'an answer from a');
    const { waiting, urgency } = asked(a, 0).request;
    waiting('a free connection to a (3 ahead)');
    assert.equal(waitingFor(), 'a free connection to a (3 ahead)');
    assert.equal(world.table.snapshot(digest)?.state, 'waiting');
    assert.deepEqual(urgency(), { waiters: 1, missingBytes: size });
    waiting(undefined);
    assert.equal(waitingFor(), 'an answer from a');
    await brought(a, 0, 1000);
    assert.equal(waitingFor(), undefined);
    assert.deepEqual(urgency(), { waiters: 1, missingBytes: size - 1000 });
    reader.leave();
  });
});

describe('a limit', () => {
  let store: MemoryContentStore;
  let world: FlightWorld;
  let source: ScriptedSource;

  beforeEach(() => {
    store = new MemoryContentStore();
    source = new ScriptedSource('up', content);
    world = new FlightWorld(store, digest, { headerPatienceMs: 22_500, deadlineMs: 600_000 });
  });

  afterEach(() => store[Symbol.asyncDispose]());

  async function joined(sizeBytes: number | undefined = size): Promise<FollowingReader> {
    const reader = await world.join(source, sizeBytes);
    reader.read(all);
    await world.quiet();
    return reader;
  }

  async function refused(index: number, retryAfterMs: number): Promise<void> {
    source.attempts[index]?.refuse(limited(retryAfterMs));
    await world.quiet();
  }

  function assertLimited(outcome: unknown, retryAfterMs: number): void {
    assert.ok(outcome instanceof AppError, `${outcome}`);
    assert.deepEqual([outcome.code, outcome.retryAfterMs], ['UPSTREAM_RATE_LIMITED', retryAfterMs]);
  }

  for (const sizeBytes of [size, undefined]) {
    const kind = sizeBytes === undefined ? 'unknown' : 'known';
    it(`is told at once where it lasts longer than a client can wait, of a blob of ${kind} size`, async () => {
      const reader = await joined(sizeBytes);
      await refused(0, 60_000);
      assertLimited(reader.outcome, 60_000);
      world.assertNothingLeft();
    });

    it(`is told when there is no time for another rest, of a blob of ${kind} size`, async () => {
      const reader = await joined(sizeBytes);
      await refused(0, 20_000);
      world.clock.advance(20_000);
      await world.quiet();
      assert.ok(reader.isFollowing);
      await refused(1, 5000);
      assertLimited(reader.outcome, 5000);
    });
  }

  it('is waited for in the middle of a blob, up to the deadline', async () => {
    const reader = await joined();
    source.attempts[0]?.answer();
    await world.quiet();
    source.attempts[0]?.deliver(4000);
    await world.quiet();
    source.attempts[0]?.cut();
    await world.quiet();
    world.clock.advance(200);
    await world.quiet();
    await refused(1, 300_000);
    assert.ok(reader.isFollowing);
    world.clock.advance(300_000);
    await world.quiet();
    await refused(2, 300_000);
    reader.read(all);
    await world.quiet();
    assertLimited(reader.outcome, 300_000);
    world.assertNothingLeft();
  });

  it('that nobody waited for is told to who comes meanwhile and cannot wait for it', async () => {
    const reader = await joined();
    reader.leave();
    await refused(0, 300_000);
    world.clock.advance(10_000);
    await world.quiet();
    assert.equal(world.table.size, 1);
    const late = await joined();
    assertLimited(late.outcome, 290_000);
    world.assertNothingLeft();
  });

  it('that one of many can wait for is not told to the others', async () => {
    const reader = await joined();
    source.attempts[0]?.answer();
    await world.quiet();
    source.attempts[0]?.deliver(4000);
    await world.quiet();
    source.attempts[0]?.cut();
    await world.quiet();
    world.clock.advance(200);
    await world.quiet();
    await refused(1, 300_000);
    const late = await joined();
    assert.equal(late.received.length, 4000);
    assert.ok(late.isFollowing && reader.isFollowing);
  });
});
