import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import type { FlightTableOptions } from './flight-table.ts';
import type { SourceBody } from './source.ts';
import { FlightWorld } from './testing/flight-world.ts';
import type { FollowingReader } from './testing/following-reader.ts';
import { type AnswerScript, type Attempt, ScriptedSource } from './testing/scripted-source.ts';

const size = 10_000;
const content = sampleBytes(1, size);
const digest = digestOf(content);
const all = 1_000_000;
const never = () => new Promise<never>(() => {});

describe('a flight with odd sources', () => {
  let store: MemoryContentStore;
  let world: FlightWorld;
  let source: ScriptedSource;

  beforeEach(() => {
    store = new MemoryContentStore();
    source = new ScriptedSource('up', content);
    start();
  });

  function start(options: Partial<FlightTableOptions> = {}): void {
    world = new FlightWorld(store, digest, options);
  }

  afterEach(() => store[Symbol.asyncDispose]());

  async function joined(from = source, sizeBytes: number | 'unknown' = size, range?: { start: number; end: number }) {
    const reader = await world.join(from, sizeBytes === 'unknown' ? undefined : sizeBytes, range);
    reader.read(all);
    await world.quiet();
    return reader;
  }

  async function attempt(index: number, script: AnswerScript | 'unanswered' = {}, of = source): Promise<Attempt> {
    const found = of.attempts[index];
    assert.ok(found, `attempt ${index} of ${of.name}`);
    if (script !== 'unanswered') found.answer(script);
    await world.quiet();
    return found;
  }

  async function deliver(to: Attempt, bytes = all): Promise<void> {
    to.deliver(bytes);
    await world.quiet();
  }

  async function later(ms: number): Promise<void> {
    world.clock.advance(ms);
    await world.quiet();
  }

  async function readToEnd(reader: FollowingReader): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      reader.read(all);
      await world.quiet();
    }
    assert.equal(reader.outcome, 'complete');
    assert.ok(Buffer.from(content.subarray(reader.start)).equals(Buffer.from(reader.received)));
  }

  const code = (outcome: unknown) => (outcome instanceof AppError ? outcome.code : outcome);

  it('reads through what is there, in one request, where a source ignores ranges', async () => {
    const reader = await joined();
    const first = await attempt(0);
    await deliver(first, 3000);
    first.cut();
    await world.quiet();
    await later(200);
    const second = await attempt(1, { ignoreRange: true });
    for (let sent = 0; sent < size; sent += 500) await deliver(second, 500);
    assert.equal(source.attempts.length, 2);
    await readToEnd(reader);
    world.assertNothingLeft();
  });

  it('takes all that a source sends that ignores ranges, beyond the part that was asked for', async () => {
    const part = await joined(source, size, { start: 4000, end: 4100 });
    const only = await attempt(0, { ignoreRange: true });
    assert.equal(only.end, 4200);
    for (let sent = 0; sent < size; sent += 500) await deliver(only, 500);
    assert.equal(part.received.length, 100);
    assert.equal(await store.sizeOf(digest), size);
    assert.equal(source.attempts.length, 1);
  });

  it('asks a source that comes along while it waits out the pause of another', async () => {
    const waiting = await joined();
    (await attempt(0, 'unanswered')).refuse(new AppError('UPSTREAM_RATE_LIMITED', 'later', { retryAfterMs: 30_000 }));
    await world.quiet();
    const other = new ScriptedSource('other', content);
    const reader = await joined(other);
    await deliver(await attempt(0, {}, other));
    await readToEnd(reader);
    await readToEnd(waiting);
    world.assertNothingLeft();
  });

  it('does not ask the one that wants a pause any sooner because somebody joins', async () => {
    await joined();
    (await attempt(0, 'unanswered')).refuse(new AppError('UPSTREAM_RATE_LIMITED', 'later', { retryAfterMs: 30_000 }));
    await world.quiet();
    await joined();
    await later(29_999);
    assert.equal(source.attempts.length, 1);
    await later(1);
    assert.equal(source.attempts.length, 2);
  });

  it('leaves a source alone for as long as it asked, whatever another one does meanwhile', async () => {
    await joined();
    (await attempt(0, 'unanswered')).refuse(new AppError('UPSTREAM_RATE_LIMITED', 'later', { retryAfterMs: 30_000 }));
    await world.quiet();
    const other = new ScriptedSource('other', content);
    await joined(other);
    for (let index = 0; index < 3; index++) {
      (await attempt(index, 'unanswered', other)).refuse(new AppError('UPSTREAM_FAILED', 'broken'));
      await world.quiet();
      await later(200);
    }
    assert.equal(source.attempts.length, 1);
    await deliver(await attempt(3, {}, other));
    assert.equal(await store.sizeOf(digest), size);
  });

  it('keeps the names of repositories from readers that come by another one', async () => {
    const lying = new ScriptedSource('corp.example/secret/app', sampleBytes(2, size));
    const reader = await joined(lying);
    for (let turn = 0; turn < 3; turn++) await deliver(await attempt(turn, {}, lying));
    reader.read(all);
    assert.ok(reader.outcome instanceof AppError);
    assert.equal(reader.outcome.code, 'CONTENT_MISMATCH');
    assert.doesNotMatch(reader.outcome.message, /secret/);
    const stalling = await joined(new ScriptedSource('corp.example/secret/app', content));
    await later(3_600_000);
    stalling.read(all);
    assert.ok(stalling.outcome instanceof AppError);
    assert.doesNotMatch(stalling.outcome.message, /secret/);
  });

  it('lives through one that fails to end what is not needed', async () => {
    start({ abandon: 'keep' });
    const reader = await joined();
    const late = Promise.withResolvers<SourceBody>();
    source.open = () => late.promise;
    await later(20_000);
    await later(200);
    reader.leave();
    await world.quiet();
    const chunks = {
      [Symbol.asyncIterator]: () => ({ next: never, return: () => Promise.reject(new Error('cannot end')) }),
    };
    late.resolve({ start: 0, blobSizeBytes: size, chunks });
    await world.quiet();
    world.assertNothingLeft();
  });

  describe('that do not say how long it is', () => {
    const untold: AnswerScript = { sizeBytes: null };

    it('begins again when one ends before what another one brought', async () => {
      const reader = await joined(source, 'unknown');
      const first = await attempt(0, untold);
      await deliver(first, 6000);
      first.cut();
      await world.quiet();
      await later(200);
      const short = await attempt(1, { ...untold, ignoreRange: true });
      await deliver(short, 2000);
      short.finish();
      await world.quiet();
      reader.read(all);
      assert.equal(code(reader.outcome), 'CONTENT_MISMATCH');
      const late = await joined(source, 'unknown');
      const third = await attempt(2, untold);
      assert.equal(third.start, 0);
      await deliver(third);
      third.finish();
      await world.quiet();
      await readToEnd(late);
      world.assertNothingLeft();
    });

    it('takes what is there for all of it when nothing can be had after it', async () => {
      const reader = await joined(source, 'unknown');
      const first = await attempt(0, untold);
      await deliver(first);
      first.cut();
      await world.quiet();
      await later(200);
      (await attempt(1, 'unanswered')).refuse(new AppError('UPSTREAM_INVALID', 'answered 416'));
      await world.quiet();
      await readToEnd(reader);
      assert.equal(source.attempts.length, 2);
      world.assertNothingLeft();
    });

    it('begins again when nothing can be had after what is there, which is not all', async () => {
      const reader = await joined(source, 'unknown');
      const first = await attempt(0, untold);
      await deliver(first, 6000);
      first.cut();
      await world.quiet();
      await later(200);
      (await attempt(1, 'unanswered')).refuse(new AppError('UPSTREAM_INVALID', 'answered something odd'));
      await world.quiet();
      reader.read(all);
      assert.equal(code(reader.outcome), 'CONTENT_MISMATCH');
      const next = await joined(source, 'unknown');
      const whole = await attempt(2, untold);
      assert.equal(whole.start, 0);
      await deliver(whole);
      whole.finish();
      await world.quiet();
      await readToEnd(next);
    });
  });
});
