import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError, type ErrorCode } from '../core/errors.ts';
import { retryDefaults, retryPolicy } from '../routing/retry-policy.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { FlightWorld } from './testing/flight-world.ts';
import type { FollowingReader } from './testing/following-reader.ts';
import { type Attempt, ScriptedSource } from './testing/scripted-source.ts';

const all = 1_000_000;
const headerPatienceMs = 20_000;
const deadlineMs = 1_800_000;

const failure = (code: ErrorCode) => new AppError(code, 'failed by the test');
const code = (outcome: unknown) => (outcome instanceof AppError ? outcome.code : outcome);
const reverse = (chunk: Uint8Array) => void chunk.reverse();

for (const [kind, size] of [
  ['a small blob, filled in memory', 6],
  ['a large blob', 10_000],
] as const) {
  const content = sampleBytes(3, size);
  const digest = digestOf(content);

  describe(`${kind}: those who wait`, () => {
    let store: MemoryContentStore;
    let world: FlightWorld;
    let a: ScriptedSource;
    let b: ScriptedSource;

    beforeEach(() => {
      store = new MemoryContentStore();
      a = new ScriptedSource('a', content);
      b = new ScriptedSource('b', content);
      const retry = retryPolicy(retryDefaults, () => 0.5);
      world = new FlightWorld(store, digest, { headerPatienceMs, deadlineMs, holdBackBytes: size }, retry);
    });

    afterEach(() => store[Symbol.asyncDispose]());

    async function joined(sources: ScriptedSource[] = [a, b]): Promise<FollowingReader> {
      const reader = await world.join(sources, size);
      reader.read(all);
      await world.quiet();
      return reader;
    }

    type Fate = (attempt: Attempt) => void;

    /** Lets each source meet its fate at every request until `reader` ends; returns after how long it did. */
    async function until(reader: FollowingReader, fates: ReadonlyMap<ScriptedSource, Fate>): Promise<number> {
      const startMs = world.clock.monotonic();
      for (let turn = 0; turn < 500 && reader.isFollowing; turn++) {
        for (const [source, fate] of fates) for (const attempt of source.asking) fate(attempt);
        await world.quiet();
        for (const [source] of fates) for (const attempt of source.awaited) attempt.deliver(all);
        reader.read(all);
        await world.quiet();
        reader.read(all);
        await world.quiet();
        const isBusy = a.asking.length + b.asking.length + a.awaited.length + b.awaited.length > 0;
        if (!isBusy && reader.isFollowing) world.clock.advance(Math.min(250, world.clock.nextDueInMs ?? 250));
        await world.quiet();
      }
      return world.clock.monotonic() - startMs;
    }

    const refuses =
      (error: ErrorCode): Fate =>
      (attempt) =>
        attempt.refuse(failure(error));
    const works: Fate = (attempt) => attempt.answer();
    /** Fails for so long; then it works. */
    const failsFor =
      (ms: number, fails: Fate): Fate =>
      (attempt) =>
        (world.clock.monotonic() - startedMs < ms ? fails : works)(attempt);
    let startedMs = 0;
    beforeEach(() => {
      startedMs = world.clock.monotonic();
    });

    async function corrupts(attempt: Attempt): Promise<void> {
      attempt.answer();
      await world.quiet();
      attempt.deliver(all, reverse);
      await world.quiet();
    }

    it('are served when what fails at once, again and again, works after ten seconds', async () => {
      const fate = failsFor(10_000, refuses('UPSTREAM_FAILED'));
      const reader = await joined();
      const fates = new Map([
        [a, fate],
        [b, fate],
      ]);
      await until(reader, fates);
      assert.equal(reader.outcome, 'complete');
      assert.ok(a.attempts.length + b.attempts.length < 14, 'few requests');
      world.assertNothingLeft();
    });

    it('are told why when their patience is nearly used up', async () => {
      const reader = await joined();
      const tookMs = await until(
        reader,
        new Map([
          [a, refuses('UPSTREAM_FAILED')],
          [b, refuses('UPSTREAM_INTERRUPTED')],
        ]),
      );
      assert.ok(['UPSTREAM_FAILED', 'UPSTREAM_INTERRUPTED'].includes(String(code(reader.outcome))));
      assert.ok(tookMs >= 14_000 && tookMs < headerPatienceMs, `told after ${tookMs} ms`);
      world.assertNothingLeft();
    });

    it('are told within seconds when nobody is there', async () => {
      const reader = await joined();
      const away = refuses('UPSTREAM_UNREACHABLE');
      const tookMs = await until(
        reader,
        new Map([
          [a, away],
          [b, away],
        ]),
      );
      assert.equal(code(reader.outcome), 'UPSTREAM_UNREACHABLE');
      assert.ok(tookMs >= 4000 && tookMs < 6000, `told after ${tookMs} ms`);
    });

    it('are served where one source is wrong and the other works only after a while', async () => {
      const reader = await joined();
      for (const attempt of a.asking) await corrupts(attempt);
      await until(
        reader,
        new Map([
          [a, () => assert.fail('one that was wrong is asked while the other is waited for')],
          [b, failsFor(10_000, refuses('UPSTREAM_FAILED'))],
        ]),
      );
      assert.equal(reader.outcome, 'complete');
    });

    it('are served where one source is wrong and the other is shunned for it', async () => {
      const reader = await joined();
      b.standsAt = { ...b.standsAt, restMs: 30_000 };
      for (const attempt of a.asking) await corrupts(attempt);
      await until(
        reader,
        new Map([
          [a, () => assert.fail('one that was wrong is asked while the other is waited for')],
          [b, failsFor(1000, refuses('UPSTREAM_FAILED'))],
        ]),
      );
      assert.equal(reader.outcome, 'complete');
    });

    it('are served by the one that was wrong where nobody else comes right', async () => {
      const reader = await joined();
      for (const attempt of a.asking) await corrupts(attempt);
      await until(
        reader,
        new Map([
          [a, works],
          [b, refuses('UPSTREAM_FAILED')],
        ]),
      );
      assert.equal(reader.outcome, 'complete');
      assert.equal(a.attempts.length, 2);
    });

    it('are told at once that all bodies are wrong', async () => {
      const reader = await joined();
      for (let turn = 0; turn < 10; turn++) {
        for (const attempt of [...a.asking, ...b.asking]) await corrupts(attempt);
        reader.read(all);
      }
      assert.equal(code(reader.outcome), 'CONTENT_MISMATCH');
      assert.equal(a.attempts.length + b.attempts.length, 3);
      world.assertNothingLeft();
    });
  });
}
