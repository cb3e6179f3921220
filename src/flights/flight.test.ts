import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import type { FlightTableOptions } from './flight-table.ts';
import { FlightWorld } from './testing/flight-world.ts';
import { type Attempt, ScriptedSource } from './testing/scripted-source.ts';

const size = 10_000;
const content = sampleBytes(1, size);
const digest = digestOf(content);
/** More than any test has. */
const all = 1_000_000;

describe('a flight', () => {
  let store: MemoryContentStore;
  let world: FlightWorld;
  let source: ScriptedSource;

  beforeEach(() => {
    store = new MemoryContentStore();
    source = new ScriptedSource('up', content);
    start();
  });

  afterEach(() => store[Symbol.asyncDispose]());

  function start(options: Partial<FlightTableOptions> = {}): void {
    world = new FlightWorld(store, digest, options);
  }

  function attempt(index: number, of = source): Attempt {
    const found = of.attempts[index];
    assert.ok(found, `attempt ${index} of ${of.name}`);
    return found;
  }

  async function deliver(to: Attempt, bytes = all): Promise<void> {
    to.deliver(bytes);
    await world.quiet();
  }

  /** Sends all that is asked for until nothing is asked for any more. */
  async function deliverAll(...sources: ScriptedSource[]): Promise<void> {
    for (let turn = 0; turn < 50; turn++) {
      await world.quiet();
      for (const { asking, awaited } of sources) {
        for (const waiting of asking) waiting.answer();
        for (const body of awaited) body.deliver(all);
      }
      for (const reader of world.readers) reader.read(all);
    }
  }

  async function joined(from = source, range?: { start: number; end: number }) {
    const reader = await world.join(from, size, range);
    reader.read(all);
    await world.quiet();
    return reader;
  }

  async function answered() {
    const reader = await joined();
    attempt(0).answer();
    await world.quiet();
    return reader;
  }

  const code = (outcome: unknown) => (outcome instanceof AppError ? outcome.code : outcome);

  it('serves a late joiner from the first byte, out of the same request', async () => {
    const first = await answered();
    await deliver(attempt(0), 6000);
    const late = await joined();
    assert.equal(late.received.length, 6000);
    await deliverAll(source);
    assert.deepEqual([first.outcome, late.outcome], ['complete', 'complete']);
    assert.equal(source.attempts.length, 1);
    world.assertNothingLeft();
  });

  it('serves a range that is there at once, while the rest still comes', async () => {
    await answered();
    await deliver(attempt(0), 5000);
    const range = await joined(source, { start: 1000, end: 2000 });
    assert.equal(range.received.length, 1000);
    range.read(all);
    await world.quiet();
    assert.equal(range.outcome, 'complete');
    assert.equal(source.attempts.length, 1);
  });

  it('opens a range for a reader far ahead and fetches no byte twice', async () => {
    await answered();
    await deliver(attempt(0), 1000);
    const ahead = await joined(source, { start: 8000, end: size });
    assert.deepEqual([attempt(1).start, attempt(1).end], [8000, undefined]);
    attempt(1).answer();
    await world.quiet();
    await deliver(attempt(1), 1500);
    assert.equal(ahead.received.length, 1500);
    await deliver(attempt(0), 3000);
    await deliver(attempt(0), 3000);
    await deliver(attempt(0), 1000);
    assert.ok(attempt(0).isLeft, 'the first transfer ends where the second began');
    await deliverAll(source);
    assert.equal(ahead.outcome, 'complete');
    assert.ok(source.sent.every((times) => times === 1));
    world.assertNothingLeft();
  });

  it('goes on when the reader that began it leaves', async () => {
    const first = await answered();
    await deliver(attempt(0), 1000);
    const second = await joined();
    first.leave();
    await deliverAll(source);
    assert.equal(second.outcome, 'complete');
  });

  it('finishes without any reader', async () => {
    const only = await answered();
    only.leave();
    await deliverAll(source);
    assert.equal(await store.sizeOf(digest), size);
    world.assertNothingLeft();
  });

  it('stops when the last reader leaves and keeps what is there, if told to', async () => {
    start({ abandon: 'keep' });
    const only = await answered();
    await deliver(attempt(0), 4000);
    only.leave();
    await world.quiet();
    assert.ok(attempt(0).isLeft);
    world.assertNothingLeft();
    await joined();
    assert.equal(attempt(1).start, 4000);
    await deliverAll(source);
    assert.ok(source.sent.every((times) => times === 1));
  });

  it('stops and forgets, if told to', async () => {
    start({ abandon: 'discard' });
    const only = await answered();
    await deliver(attempt(0), 4000);
    only.leave();
    await world.quiet();
    await joined();
    assert.equal(attempt(1).start, 0);
    await deliverAll(source);
  });

  it('holds the end back from everybody until the digest is right', async () => {
    const reader = await answered();
    await deliver(attempt(0), size - 1);
    assert.equal(reader.received.length, size - 100);
    reader.read(all);
    await world.quiet();
    assert.ok(reader.isAsleep);
    await deliverAll(source);
    assert.equal(reader.outcome, 'complete');
  });

  it('cuts readers of a corrupt body, and lets the next attempt serve who had nothing of it', async () => {
    const cut = await answered();
    attempt(0).deliver(5000, (chunk) => chunk.fill(0, 10, 20));
    await world.quiet();
    cut.read(all);
    const waiting = await joined(source, { start: size - 50, end: size });
    await deliver(attempt(0));
    cut.read(all);
    assert.equal(code(cut.outcome), 'CONTENT_MISMATCH');
    assert.ok(waiting.isFollowing);
    await deliverAll(source);
    assert.equal(waiting.outcome, 'complete');
    assert.equal(await store.sizeOf(digest), size);
  });

  it('asks another source after one that sent a corrupt body', async () => {
    const other = new ScriptedSource('other', content);
    await answered();
    await joined(other);
    attempt(0).deliver(all, (chunk) => chunk.reverse());
    await world.quiet();
    assert.equal(other.attempts.length, 1);
    await deliverAll(other);
    assert.equal(await store.sizeOf(digest), size);
  });

  it('gives up after the third corrupt body and keeps nothing', async () => {
    const lying = new ScriptedSource('lying', sampleBytes(2, size));
    const reader = await joined(lying);
    await deliverAll(lying);
    assert.equal(code(reader.outcome), 'CONTENT_MISMATCH');
    assert.equal(lying.attempts.length, 3);
    assert.equal(await store.sizeOf(digest), undefined);
    world.assertNothingLeft();
  });

  it('goes on at the first missing byte after a cut, after a pause', async () => {
    const reader = await answered();
    await deliver(attempt(0), 3000);
    attempt(0).cut();
    await world.quiet();
    assert.equal(world.table.snapshot(digest)?.state, 'waiting');
    world.clock.advance(200);
    await world.quiet();
    assert.equal(attempt(1).start, 3000);
    await deliverAll(source);
    assert.equal(reader.outcome, 'complete');
  });

  it('replaces a source that stalls', async () => {
    const reader = await answered();
    await deliver(attempt(0), 3000);
    world.clock.advance(10_000);
    await world.quiet();
    assert.ok(attempt(0).isLeft);
    world.clock.advance(200);
    await deliverAll(source);
    assert.equal(reader.outcome, 'complete');
  });

  it('asks another source at once for good when one refuses', async () => {
    const other = new ScriptedSource('other', content);
    await joined();
    const reader = await joined(other);
    attempt(0).refuse(new AppError('BLOB_UNKNOWN', 'not here'));
    await world.quiet();
    world.clock.advance(200);
    await world.quiet();
    assert.equal(other.attempts.length, 1);
    await deliverAll(other);
    assert.equal(reader.outcome, 'complete');
  });

  it('tells every reader the same cause when no source is left', async () => {
    const readers = [await joined(), await joined(), await joined()];
    attempt(0).refuse(new AppError('UPSTREAM_DENIED', 'not for you'));
    await world.quiet();
    assert.deepEqual(
      readers.map(({ outcome }) => code(outcome)),
      ['UPSTREAM_DENIED', 'UPSTREAM_DENIED', 'UPSTREAM_DENIED'],
    );
    assert.equal(new Set(readers.map(({ outcome }) => outcome)).size, 1);
    world.assertNothingLeft();
  });

  it('reads from the start, and drops what is there, when a source ignores ranges', async () => {
    const reader = await answered();
    await deliver(attempt(0), 3000);
    attempt(0).cut();
    await world.quiet();
    world.clock.advance(200);
    await world.quiet();
    attempt(1).answer({ ignoreRange: true });
    await world.quiet();
    await deliverAll(source);
    assert.equal(reader.outcome, 'complete');
  });

  it('serves a blob whose size nobody tells, and knows its end by the digest', async () => {
    const reader = await world.join(source, undefined);
    reader.read(all);
    await world.quiet();
    attempt(0).answer({ sizeBytes: null });
    await world.quiet();
    await deliver(attempt(0), 6000);
    assert.equal(reader.received.length, 5900);
    await deliverAll(source);
    assert.equal(reader.outcome, 'complete');
    assert.equal(reader.received.length, size);
  });

  it('goes on after a kill with what was on disk', async () => {
    await answered();
    await deliver(attempt(0), 4000);
    await world.store.kill();
    start();
    source = new ScriptedSource('up', content, source.sent);
    const reader = await joined();
    assert.equal(reader.received.length, 4000, 'what is there is served at once');
    assert.equal(attempt(0).start, 4000);
    await deliverAll(source);
    assert.equal(reader.outcome, 'complete');
    assert.ok(source.sent.every((times) => times === 1));
  });

  it('ends a pull that takes longer than its deadline, and keeps what is there', async () => {
    start({ deadlineMs: 5000 });
    const reader = await answered();
    await deliver(attempt(0), 4000);
    reader.read(all);
    world.clock.advance(5000);
    await world.quiet();
    reader.read(all);
    assert.equal(code(reader.outcome), 'PULL_DEADLINE');
    world.assertNothingLeft();
    start();
    await joined();
    assert.equal(attempt(1).start, 4000);
  });

  it('tells every reader when the disk is full, and begins anew for the next', async () => {
    const reader = await answered();
    world.store.failWrites = new AppError('STORAGE_FULL', 'no space left');
    await deliver(attempt(0));
    assert.equal(code(reader.outcome), 'STORAGE_FULL');
    world.assertNothingLeft();
    world.store.failWrites = undefined;
    const next = await joined();
    await deliverAll(source);
    assert.equal(next.outcome, 'complete');
  });

  it('refuses more flights than allowed', async () => {
    start({ maxFlights: 1 });
    await joined();
    const request = { digest: digestOf(sampleBytes(9, 9)), sizeBytes: 9, sources: [source], range: undefined };
    await assert.rejects(world.table.join(request, new AbortController().signal), { code: 'OVERLOADED' });
  });

  it('does not fetch what the store has got meanwhile', async () => {
    await store.put(digest, content);
    const reader = await joined();
    reader.read(all);
    await world.quiet();
    assert.equal(reader.outcome, 'complete');
    assert.equal(source.attempts.length, 0);
    world.assertNothingLeft();
  });

  it('keeps a small blob in memory until it is complete', async () => {
    start({ smallBlobBytes: size });
    const reader = await answered();
    await deliver(attempt(0), 5000);
    assert.equal(world.store.openPartials, 0);
    await deliverAll(source);
    assert.equal(reader.outcome, 'complete');
    assert.equal(await store.sizeOf(digest), size);
  });

  it('lets a slow reader pace nobody but itself', async () => {
    const slow = await answered();
    const fast = await joined();
    await deliver(attempt(0), 5000);
    slow.read(1);
    await deliverAll(source);
    assert.equal(fast.outcome, 'complete');
    world.assertNobodyOversleeps();
  });

  it('can be stopped with the process and leaves everything resumable', async () => {
    const reader = await answered();
    await deliver(attempt(0), 2500);
    reader.read(all);
    await world.table[Symbol.asyncDispose]();
    reader.read(all);
    assert.equal(code(reader.outcome), 'SHUTTING_DOWN');
    world.assertNothingLeft();
    await assert.rejects(world.join(source, size), { code: 'SHUTTING_DOWN' });
    start();
    await joined();
    assert.equal(attempt(1).start, 2500);
  });
});
