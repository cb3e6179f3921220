import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import type { FlightTableOptions } from './flight-table.ts';
import { FlightWorld } from './testing/flight-world.ts';
import type { FollowingReader } from './testing/following-reader.ts';
import { type AnswerScript, type Attempt, ScriptedSource } from './testing/scripted-source.ts';

const size = 10_000;
const content = sampleBytes(1, size);
const digest = digestOf(content);
const all = 1_000_000;

const code = (outcome: unknown) => (outcome instanceof AppError ? outcome.code : outcome);

describe('a size', () => {
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

  async function joined(sizeBytes: number | undefined, from: ScriptedSource[] = [source]): Promise<FollowingReader> {
    const reader = await world.join(from, sizeBytes);
    reader.read(all);
    await world.quiet();
    return reader;
  }

  async function answered(index: number, script: AnswerScript = {}, of = source): Promise<Attempt> {
    const attempt = of.attempts[index];
    assert.ok(attempt, `attempt ${index} of ${of.name}`);
    attempt.answer(script);
    await world.quiet();
    return attempt;
  }

  async function delivered(attempt: Attempt, bytes = all): Promise<void> {
    attempt.deliver(bytes);
    await world.quiet();
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
    assert.ok(Buffer.from(content).equals(Buffer.from(reader.received)));
    world.assertNothingLeft();
  }

  const discarded = () => world.events.filter(({ event }) => event === 'discarded-body').length;

  describe('that a manifest claims', () => {
    for (const sizeBytes of [0, size - 1, size + 1]) {
      it(`is not given up because an only source says ${sizeBytes} for once`, async () => {
        const reader = await joined(size);
        const wrong = await answered(0, { sizeBytes });
        assert.ok(wrong.isLeft);
        assert.ok(reader.isFollowing);
        await later(200);
        await delivered(await answered(1));
        await completes(reader);
        assert.equal(discarded(), 0);
        assert.equal(source.attempts.length, 2);
      });
    }

    it('is not given up because a source says other sizes again and again, each time another', async () => {
      const reader = await joined(size);
      for (let index = 0; index < 20; index++) {
        await answered(index, { sizeBytes: 100 + index });
        await later(200);
      }
      await delivered(await answered(20));
      await completes(reader);
    });

    it('is not given up because a source says the same other size again within a moment', async () => {
      const reader = await joined(size);
      for (let index = 0; index < 3; index++) {
        await answered(index, { sizeBytes: 77 });
        await later(200);
      }
      await delivered(await answered(3));
      await completes(reader);
    });

    it('is given up in this flight when a source stays with another one', async () => {
      const misled = await joined(9000);
      let index = 0;
      for (; misled.isFollowing; index++) {
        await answered(index);
        await later(200);
      }
      assert.equal(code(misled.outcome), 'CONTENT_MISMATCH');
      assert.ok(index > 5 && index < 15, `${index} attempts`);
      const next = await joined(9000);
      assert.equal(next.reader.sizeBytes, size);
      await delivered(await answered(index));
      await completes(next);
      assert.equal(await store.sizeOf(digest), size);
    });

    it('is never given up once a source has said it, and what is there stays', async () => {
      const reader = await joined(size);
      const right = await answered(0);
      await delivered(right, 4000);
      right.cut();
      await world.quiet();
      await later(200);
      for (let index = 1; index < 20; index++) {
        await answered(index, { sizeBytes: 77 });
        await later(200);
      }
      assert.ok(reader.isFollowing);
      assert.equal(source.attempts[20]?.start, 4000);
      await delivered(await answered(20));
      await completes(reader);
      assert.ok(source.sent.every((times) => times === 1));
    });

    it('comes back when a body of another size turns out wrong', async () => {
      await joined(size);
      let index = 0;
      for (; discarded() === 0; index++) {
        await answered(index, { sizeBytes: 4000 });
        await later(200);
      }
      const next = await joined(size);
      assert.equal(next.reader.sizeBytes, 4000);
      next.leave();
      const short = await answered(index, { sizeBytes: 4000 });
      await delivered(short, 4000);
      assert.equal(world.table.snapshot(digest)?.sizeBytes, size);
      const last = await joined(size);
      await delivered(await answered(index + 1));
      await completes(last);
    });

    it('comes back when a source says it', async () => {
      await joined(size);
      let index = 0;
      for (; discarded() === 0; index++) {
        await answered(index, { sizeBytes: size + 5 });
        await later(200);
      }
      await answered(index);
      const last = await joined(size);
      assert.equal(last.reader.sizeBytes, size);
      await delivered(await answered(index + 1));
      await completes(last);
    });

    it('begins each flight, whatever was believed in the last one', async () => {
      start({ deadlineMs: 60_000, maxBadBodies: 10 });
      const first = await joined(undefined);
      const wrong = await answered(0, { sizeBytes: size + 3 });
      await delivered(wrong, 4000);
      first.leave();
      await later(60_000);
      assert.equal(world.table.size, 0);
      const next = await joined(size);
      assert.equal(next.received.length, 4000, 'what is there stays');
      assert.equal(source.attempts.at(-1)?.start, 4000);
      await delivered(await answered(source.attempts.length - 1));
      await completes(next);
    });

    it('larger than the blob is given up when nothing is to be had after what is there', async () => {
      const misled = await joined(size + 3);
      const first = await answered(0, { sizeBytes: null });
      await delivered(first);
      first.finish();
      await world.quiet();
      await later(200);
      for (let index = 1; discarded() === 0; index++) {
        assert.equal(source.attempts[index]?.start, size);
        source.attempts[index]?.refuse(new AppError('UPSTREAM_INVALID', 'answered 416'));
        await world.quiet();
        await later(200);
      }
      misled.read(all);
      assert.equal(code(misled.outcome), 'CONTENT_MISMATCH');
      const next = await joined(size + 3);
      await delivered(await answered(source.attempts.length - 1, { sizeBytes: null }));
      await completes(next);
    });
  });

  describe('that only a source has said', () => {
    it('is believed by no later flight', async () => {
      start({ deadlineMs: 60_000 });
      const first = await joined(undefined);
      await delivered(await answered(0, { sizeBytes: size + 3 }), 4000);
      first.leave();
      await later(60_000);
      const next = await joined(undefined);
      assert.equal(next.reader.sizeBytes, undefined);
      await delivered(await answered(source.attempts.length - 1));
      await completes(next);
    });

    it('is not given up because one contradicts it once', async () => {
      const reader = await joined(undefined);
      const first = await answered(0);
      await delivered(first, 4000);
      first.cut();
      await world.quiet();
      await later(200);
      await answered(1, { sizeBytes: 77 });
      await later(200);
      await delivered(await answered(2));
      await completes(reader);
      assert.equal(discarded(), 0);
    });

    it('larger than the blob does no harm: what is there is all of it', async () => {
      const misled = await joined(undefined);
      const first = await answered(0, { sizeBytes: size + 3 });
      await delivered(first);
      first.cut();
      await world.quiet();
      await later(200);
      source.attempts[1]?.refuse(new AppError('UPSTREAM_INVALID', 'answered 416'));
      await world.quiet();
      misled.read(all);
      assert.equal(await store.sizeOf(digest), size);
    });

    it('smaller than what came is not taken from one answer', async () => {
      const reader = await joined(undefined);
      const first = await answered(0, { sizeBytes: null });
      await delivered(first, 6000);
      first.cut();
      await world.quiet();
      await later(200);
      await answered(1, { sizeBytes: 4000 });
      assert.equal(discarded(), 0);
      await later(200);
      await delivered(await answered(2));
      await completes(reader);
    });
  });
});
