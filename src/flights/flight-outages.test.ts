import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Interval } from '../core/byte-range.ts';
import { digestOf } from '../core/digest.ts';
import { AppError, type ErrorCode, type ErrorFacts } from '../core/errors.ts';
import { retryDefaults, retryPolicy } from '../routing/retry-policy.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { FlightWorld } from './testing/flight-world.ts';
import type { FollowingReader } from './testing/following-reader.ts';
import { type Attempt, ScriptedSource } from './testing/scripted-source.ts';

const all = 1_000_000;
const size = 10_000;
const half = size / 2;
const headerPatienceMs = 20_000;
const outageTimeoutMs = 30_000;
const content = sampleBytes(5, size);
const digest = digestOf(content);

const failure = (code: ErrorCode, facts: ErrorFacts = {}) => new AppError(code, 'failed by the test', facts);
const codeOf = ({ outcome }: FollowingReader) => (outcome instanceof AppError ? outcome.code : outcome);

describe('an upstream that goes away in the midst of a body', () => {
  let store: MemoryContentStore;
  let world: FlightWorld;
  let source: ScriptedSource;

  function start(options: ConstructorParameters<typeof FlightWorld>[2] = {}): void {
    const retry = retryPolicy(retryDefaults, () => 0.5);
    world = new FlightWorld(
      store,
      digest,
      { headerPatienceMs, outageTimeoutMs, deadlineMs: 600_000, ...options },
      retry,
    );
  }

  beforeEach(() => {
    store = new MemoryContentStore();
    source = new ScriptedSource('a', content);
    start();
  });

  afterEach(() => store[Symbol.asyncDispose]());

  async function joined(range?: Interval): Promise<FollowingReader> {
    const reader = await world.join(source, size, range);
    reader.read(all);
    await world.quiet();
    return reader;
  }

  /** Half of the body has come, and the connection is cut. */
  async function begun(): Promise<FollowingReader> {
    const reader = await joined();
    source.asking[0]?.answer();
    await world.quiet();
    source.awaited[0]?.deliver(half);
    await world.quiet();
    reader.read(all);
    await world.quiet();
    source.awaited[0]?.cut();
    await world.quiet();
    assert.equal(reader.received.length, half);
    return reader;
  }

  /** Lets each request meet its fate for so long, or until all who read are told. */
  async function passes(forMs: number, fate: (attempt: Attempt) => void): Promise<void> {
    const endMs = world.clock.monotonic() + forMs;
    for (;;) {
      for (const attempt of source.asking) fate(attempt);
      await world.quiet();
      for (const reader of world.readers) reader.read(all);
      await world.quiet();
      const leftMs = endMs - world.clock.monotonic();
      if (source.asking.length > 0 && world.readers.some(({ isFollowing }) => isFollowing)) continue;
      if (leftMs <= 0 || !world.readers.some(({ isFollowing }) => isFollowing)) return;
      world.clock.advance(Math.min(leftMs, world.clock.nextDueInMs ?? leftMs));
      await world.quiet();
    }
  }

  const refuses = (code: ErrorCode, facts?: ErrorFacts) => (attempt: Attempt) => attempt.refuse(failure(code, facts));
  const isAway = refuses('UPSTREAM_UNREACHABLE');

  async function comesBack(): Promise<void> {
    await passes(6000, (attempt) => attempt.answer());
    for (let turn = 0; turn < 4; turn++) {
      for (const attempt of source.awaited) attempt.deliver(all);
      await world.quiet();
      for (const reader of world.readers) reader.read(all);
      await world.quiet();
    }
  }

  for (const code of ['UPSTREAM_UNREACHABLE', 'UPSTREAM_FAILED', 'UPSTREAM_INTERRUPTED', 'UPSTREAM_TIMEOUT'] as const) {
    it(`for 25 seconds (${code}) is waited for, is asked seldom, and goes on at the first missing byte`, async () => {
      const reader = await begun();
      await passes(25_000, refuses(code));
      assert.equal(reader.outcome, 'following');
      assert.ok(source.attempts.length <= 16, `${source.attempts.length} requests`);
      await comesBack();
      assert.equal(reader.outcome, 'complete');
      assert.deepEqual(Buffer.from(reader.received), Buffer.from(content));
      assert.equal(Math.max(...source.sent), 1, 'no byte came twice');
      world.assertNothingLeft();
    });
  }

  it('is waited for no longer than the outage timeout, and then its reader is told why', async () => {
    const reader = await begun();
    const sinceMs = world.clock.monotonic();
    await passes(60_000, isAway);
    assert.equal(codeOf(reader), 'UPSTREAM_UNREACHABLE');
    const tookMs = world.clock.monotonic() - sinceMs;
    assert.ok(tookMs >= outageTimeoutMs - 1000 && tookMs <= outageTimeoutMs + 1000, `${tookMs} ms`);
    world.assertNothingLeft();
  });

  it('again and again is waited for each time anew, as long as bytes come between', async () => {
    const reader = await begun();
    for (let n = 0; n < 3; n++) {
      await passes(25_000, isAway);
      await passes(6000, (attempt) => attempt.answer());
      source.awaited[0]?.deliver(100);
      await world.quiet();
      source.awaited[0]?.cut();
      await world.quiet();
    }
    assert.equal(reader.outcome, 'following');
    await comesBack();
    assert.equal(reader.outcome, 'complete');
  });

  it('is waited for no longer than the pull may take', async () => {
    start({ deadlineMs: 12_000 });
    const reader = await begun();
    await passes(60_000, isAway);
    assert.ok(reader.outcome instanceof AppError);
    assert.ok(world.clock.monotonic() <= 12_000);
    world.assertNothingLeft();
  });

  for (const code of ['UPSTREAM_UNAUTHORIZED', 'UPSTREAM_DENIED', 'BLOB_UNKNOWN'] as const) {
    it(`is not waited for once it has refused (${code})`, async () => {
      const reader = await begun();
      await passes(60_000, refuses(code));
      assert.equal(codeOf(reader), code);
      assert.equal(source.attempts.length, 2);
      assert.ok(world.clock.monotonic() < 1000);
      world.assertNothingLeft();
    });
  }

  it('denies who has had no byte, in seconds and with the cause, and goes on for who has', async () => {
    const reader = await begun();
    const waiting = await joined({ start: 8000, end: 9000 });
    const sinceMs = world.clock.monotonic();
    while (waiting.isFollowing && world.clock.monotonic() - sinceMs < 20_000) await passes(250, isAway);
    assert.equal(codeOf(waiting), 'UPSTREAM_UNREACHABLE');
    assert.ok(world.clock.monotonic() - sinceMs <= 6000);
    assert.equal(reader.outcome, 'following');
    const late = await joined({ start: 8000, end: 9000 });
    assert.equal(codeOf(late), 'UPSTREAM_UNREACHABLE', 'who comes later is told at once');
    const early = await joined({ start: 100, end: 200 });
    early.read(all);
    await world.quiet();
    assert.equal(early.outcome, 'complete', 'what is here is given');
    await comesBack();
    assert.equal(reader.outcome, 'complete');
    world.assertNothingLeft();
  });

  it('denies nobody any more when bytes come again', async () => {
    const reader = await begun();
    await passes(10_000, isAway);
    await passes(6000, (attempt) => attempt.answer());
    source.awaited[0]?.deliver(100);
    await world.quiet();
    const joining = await joined({ start: 8000, end: 9000 });
    assert.equal(joining.outcome, 'following');
    await comesBack();
    assert.deepEqual([reader.outcome, joining.outcome], ['complete', 'complete']);
  });

  it('tells who has had no byte of a rest that is too long for it, while the others wait', async () => {
    const reader = await begun();
    const waiting = await joined({ start: 8000, end: 9000 });
    const rest = refuses('UPSTREAM_RATE_LIMITED', { retryAfterMs: 60_000 });
    for (const attempt of source.asking) rest(attempt);
    await passes(1000, rest);
    assert.equal(codeOf(waiting), 'UPSTREAM_RATE_LIMITED');
    const requests = source.attempts.length;
    await passes(50_000, rest);
    assert.equal(reader.outcome, 'following');
    assert.equal(source.attempts.length, requests, 'a rest is kept');
    await passes(15_000, (attempt) => attempt.answer());
    await comesBack();
    assert.equal(reader.outcome, 'complete');
  });

  it('is not waited for so long when those who had begun have left', async () => {
    const reader = await begun();
    await passes(10_000, isAway);
    reader.leave();
    const waiting = await joined({ start: 8000, end: 9000 });
    assert.ok(waiting.outcome instanceof AppError);
    for (let waitedMs = 0; waitedMs < 6000 && world.table.size > 0; waitedMs += 250) {
      world.clock.advance(250);
      await world.quiet();
      for (const attempt of source.asking) isAway(attempt);
      await world.quiet();
    }
    world.assertNothingLeft();
  });

  it('is not waited for at all where it is known to be down and nobody has had a byte', async () => {
    source.standsAt = { ...source.standsAt, outageMs: 60_000 };
    const reader = await joined();
    await passes(1, isAway);
    assert.equal(codeOf(reader), 'UPSTREAM_UNREACHABLE');
    assert.equal(source.attempts.length, 1);
    assert.equal(world.clock.monotonic(), 0);
    world.assertNothingLeft();
  });

  it('is waited for by who has had bytes, also when all of it is known to be down', async () => {
    const reader = await begun();
    source.standsAt = { ...source.standsAt, outageMs: 60_000 };
    await passes(25_000, isAway);
    assert.equal(reader.outcome, 'following');
    source.standsAt = { ...source.standsAt, outageMs: 0 };
    await comesBack();
    assert.equal(reader.outcome, 'complete');
  });
});
