import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { FlightWorld } from './testing/flight-world.ts';
import type { FollowingReader } from './testing/following-reader.ts';
import { type Attempt, ScriptedSource } from './testing/scripted-source.ts';

const size = 100_000;
const content = sampleBytes(1, size);
const digest = digestOf(content);

describe('what a source sends while a write is under way', () => {
  let store: MemoryContentStore;
  let world: FlightWorld;
  let source: ScriptedSource;
  let reader: FollowingReader;
  let attempt: Attempt;
  /** Writes so far, in order; each waits for its turn of `disk`. */
  let writes: { offset: number; bytes: number }[];
  let disk: PromiseWithResolvers<void>;

  beforeEach(async () => {
    store = new MemoryContentStore();
    source = new ScriptedSource('up', content);
    world = new FlightWorld(store, digest);
    writes = [];
    disk = Promise.withResolvers();
    world.store.beforeWrite = (offset, bytes) => {
      writes.push({ offset, bytes });
      return disk.promise;
    };
    reader = await world.join(source, size);
    await world.quiet();
    attempt = source.attempts[0] ?? assert.fail('nobody asked');
    attempt.answer();
    await world.quiet();
  });

  afterEach(async () => {
    await world.table[Symbol.asyncDispose]();
    for (const { reader } of world.readers) reader.close();
    await store[Symbol.asyncDispose]();
  });

  async function deliver(...chunks: number[]): Promise<void> {
    for (const bytes of chunks) {
      attempt.deliver(bytes);
      await world.quiet();
    }
  }

  /** Lets go what waits for the disk; what is written after that waits again. */
  async function write(): Promise<void> {
    const { resolve } = disk;
    disk = Promise.withResolvers();
    resolve();
    await world.quiet();
  }

  async function complete(): Promise<void> {
    world.store.beforeWrite = undefined;
    disk.resolve();
    await world.quiet();
    await deliver(size, size);
    reader.read(size);
    await world.quiet();
    reader.reader.close();
    await world.quiet();
    assert.deepEqual(await store.read(digest, size), content);
    assert.equal(world.store.writtenTwiceBytes, 0);
    world.assertNothingLeft();
  }

  it('is written together as soon as that has ended, and read by then', async () => {
    await deliver(100, 200, 300, 5000);
    assert.deepEqual(writes, [{ offset: 0, bytes: 100 }]);
    assert.equal(reader.reader.readableTo(0), 0);
    await write();
    assert.deepEqual(writes.slice(1), [{ offset: 100, bytes: 5500 }]);
    assert.equal(reader.reader.readableTo(0), 100);
    await write();
    assert.equal(reader.reader.readableTo(0), 5600);
    await complete();
  });

  it('does not keep what comes later waiting for more', async () => {
    await deliver(100);
    await write();
    await deliver(1);
    assert.deepEqual(writes.at(-1), { offset: 100, bytes: 1 });
    await write();
    assert.equal(reader.reader.readableTo(0), 101);
    await complete();
  });

  it('is bounded: then the source is not read from until there is room', async () => {
    for (let sent = 0; sent < 200 && attempt.isAwaited; sent++) await deliver(10);
    assert.equal(attempt.isAwaited, false);
    assert.ok(attempt.position < 2000, `${attempt.position} bytes were taken`);
    const gathered = attempt.position - 10;
    await write();
    assert.deepEqual(writes.at(-1), { offset: 10, bytes: gathered });
    assert.equal(attempt.isAwaited, true);
    await complete();
  });

  it('is given back when it is written, and no sooner', async () => {
    assert.equal(attempt.lentBytes, 0);
    await deliver(100, 200, 300);
    assert.equal(attempt.lentBytes, 600);
    await write();
    assert.equal(attempt.lentBytes, 500);
    await write();
    assert.equal(attempt.lentBytes, 0);
    await complete();
  });

  it('is not written any more when the fill is stopped, but for what is under way', async () => {
    await deliver(100, 200);
    const ended = world.table[Symbol.asyncDispose]();
    await world.quiet();
    await write();
    await ended;
    assert.deepEqual(writes, [{ offset: 0, bytes: 100 }]);
    const left = await store.openPartial(digest);
    assert.deepEqual(left.resumed.filled, [{ start: 0, end: 100 }]);
    await left.close();
  });

  it('ends with the write where that fails', async () => {
    await deliver(100, 200);
    world.store.beforeWrite = undefined;
    disk.reject(new AppError('STORAGE_FAILED', 'the disk broke'));
    await world.quiet();
    assert.equal(attempt.isLeft, true);
    assert.throws(() => reader.reader.readableTo(0), { code: 'STORAGE_FAILED' });
    reader.reader.close();
    await world.quiet();
    world.assertNothingLeft();
  });

  it('is written before a source that breaks off is left, and not asked for again', async () => {
    await deliver(100, 200, 300);
    attempt.cut();
    await world.quiet();
    assert.equal(source.attempts.length, 1);
    await write();
    assert.deepEqual(writes.at(-1), { offset: 100, bytes: 500 });
    await write();
    world.clock.advance(1000);
    await world.quiet();
    attempt = source.attempts[1] ?? assert.fail('nobody asked again');
    assert.equal(attempt.start, 600);
    attempt.answer();
    await world.quiet();
    await complete();
    assert.ok(source.sent.every((times) => times === 1));
  });

  it('leaves out what another source brought by the time it is written', async () => {
    await deliver(1000);
    const island = await world.join(source, size, { start: 3000, end: 3500 });
    island.read(500);
    await world.quiet();
    const second = source.attempts[1] ?? assert.fail('the reader needs a range of its own');
    second.answer();
    await world.quiet();
    second.deliver(500);
    await world.quiet();
    await deliver(1000, 1000, 1000);
    await write();
    await write();
    await write();
    island.reader.close();
    await complete();
    assert.ok(writes.some(({ offset, bytes }) => offset === 3000 && bytes === 500));
    assert.ok(writes.some(({ offset, bytes }) => offset === 1000 && bytes === 2000));
  });
});
