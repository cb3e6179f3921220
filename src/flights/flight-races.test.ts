import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { FlightWorld } from './testing/flight-world.ts';
import { type Attempt, ScriptedSource } from './testing/scripted-source.ts';

const size = 10_000;
const content = sampleBytes(1, size);
const digest = digestOf(content);
const all = 1_000_000;

/** Writes that end when the test says so, by where they begin. */
class GatedWrites {
  readonly #gates = new Map<number, PromiseWithResolvers<void>>();

  constructor(world: FlightWorld) {
    world.store.beforeWrite = (offset) => {
      const gate = Promise.withResolvers<void>();
      this.#gates.set(offset, gate);
      return gate.promise;
    };
  }

  get waiting(): number[] {
    return [...this.#gates.keys()];
  }

  pass(offset: number): void {
    this.#gates.get(offset)?.resolve();
    this.#gates.delete(offset);
  }
}

describe('two feeds of one body', () => {
  let store: MemoryContentStore;
  let world: FlightWorld;
  let source: ScriptedSource;

  beforeEach(() => {
    store = new MemoryContentStore();
    source = new ScriptedSource('up', content);
    world = new FlightWorld(store, digest);
  });

  afterEach(() => store[Symbol.asyncDispose]());

  async function opened(range?: { start: number; end: number }): Promise<Attempt> {
    const before = source.attempts.length;
    const reader = await world.join(source, size, range);
    reader.read(all);
    await world.quiet();
    const attempt = source.attempts[before];
    assert.ok(attempt, 'the reader needs a range of its own');
    attempt.answer();
    await world.quiet();
    return attempt;
  }

  async function deliver(attempt: Attempt, bytes: number, change?: (chunk: Uint8Array) => void): Promise<void> {
    attempt.deliver(bytes, change);
    await world.quiet();
  }

  /** Sends what is asked for until nothing is, and sees that what is kept then is right. */
  async function finish(): Promise<void> {
    for (let turn = 0; turn < 30; turn++) {
      for (const attempt of source.asking) attempt.answer();
      for (const attempt of source.awaited) attempt.deliver(all);
      for (const reader of world.readers) reader.read(all);
      await world.quiet();
    }
    assert.ok(
      Buffer.from(content).equals((await store.read(digest, size)) ?? new Uint8Array()),
      'wrong bytes are kept',
    );
    assert.equal(world.store.writtenTwiceBytes, 0);
    assert.ok(!world.events.some(({ event }) => event === 'discarded-body'));
    world.assertNothingLeft();
  }

  it('never write the same bytes at once, so that what was hashed is what is on disk', async () => {
    const first = await opened();
    await deliver(first, 1000);
    const second = await opened({ start: 8000, end: size });
    await deliver(first, 6900);
    const writes = new GatedWrites(world);
    await deliver(first, 200);
    await deliver(second, 2000, (chunk) => chunk.fill(0, 0, 50));
    writes.pass(7900);
    await world.quiet();
    writes.pass(8000);
    await world.quiet();
    world.store.beforeWrite = undefined;
    for (const offset of writes.waiting) writes.pass(offset);
    await world.quiet();
    await finish();
  });

  it('leave out what another one brought while an earlier part of the same chunk was written', async () => {
    const first = await opened();
    await deliver(first, 1000);
    const island = await opened({ start: 5000, end: 5200 });
    await deliver(island, 200);
    const beyond = await opened({ start: 7500, end: size });
    const writes = new GatedWrites(world);
    // One chunk over a gap, what is there, and another gap; the other feed fills the second gap meanwhile.
    await deliver(first, 6600, (chunk) => chunk.fill(0, 6550));
    await deliver(beyond, 100);
    for (let turn = 0; turn < 5; turn++) {
      for (const offset of writes.waiting.sort((a, b) => b - a)) writes.pass(offset);
      await world.quiet();
    }
    world.store.beforeWrite = undefined;
    await finish();
  });
});

describe('a reader that has not begun to read when the flight ends', () => {
  const request = { digest, sizeBytes: undefined, range: undefined };
  const { signal } = new AbortController();

  it('keeps what was found in the store open', async () => {
    await using store = new MemoryContentStore();
    const world = new FlightWorld(store, digest);
    await store.put(digest, content);
    const source = new ScriptedSource('up', content);
    const { reader } = await world.table.join({ ...request, sources: [source] }, signal);
    assert.equal(await reader.whenSized(signal), size);
    await world.quiet();
    assert.equal(world.table.size, 0);
    assert.equal(world.store.openBlobs, 1);
    assert.equal(reader.readableTo(0), size);
    reader.close();
    world.assertNothingLeft();
  });

  it('keeps what was filled open, whether it came before or after the digest was right', async () => {
    await using store = new MemoryContentStore();
    const world = new FlightWorld(store, digest);
    const source = new ScriptedSource('up', content);
    const early = await world.table.join({ ...request, sources: [source] }, signal);
    await world.quiet();
    const commit = Promise.withResolvers<void>();
    world.store.beforeCommit = () => commit.promise;
    source.attempts[0]?.answer();
    await world.quiet();
    source.attempts[0]?.deliver(all);
    await world.quiet();
    const late = await world.table.join({ ...request, sources: [source] }, signal);
    assert.equal(late.led, false);
    commit.resolve();
    await world.quiet();
    assert.equal(world.table.size, 0);
    assert.equal(world.store.holds, 2);
    for (const { reader } of [early, late]) {
      assert.equal(reader.readableTo(0), size);
      reader.close();
    }
    world.assertNothingLeft();
  });
});

describe('a reader that was told a wrong size', () => {
  it('gets less than that from a body whose size nobody knows, until it is cut', async () => {
    await using store = new MemoryContentStore();
    const world = new FlightWorld(store, digest);
    const source = new ScriptedSource('up', content);
    const { reader } = await world.join(source, 4000);
    for (const bytes of [4000, 6000]) {
      await world.quiet();
      source.attempts.at(-1)?.answer({ sizeBytes: null });
      await world.quiet();
      source.attempts.at(-1)?.deliver(bytes);
      await world.quiet();
    }
    assert.equal(reader.readableTo(0), 3999);
    source.attempts.at(-1)?.deliver(all);
    await world.quiet();
    source.attempts.at(-1)?.finish();
    await world.quiet();
    assert.throws(() => reader.readableTo(3999), { code: 'CONTENT_MISMATCH' });
    reader.close();
    world.assertNothingLeft();
  });
});
