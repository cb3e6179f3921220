import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { isFlightEnd } from '../telemetry/channels.ts';
import type { FlightTableOptions } from './flight-table.ts';
import { FlightWorld } from './testing/flight-world.ts';
import { ScriptedSource } from './testing/scripted-source.ts';

const size = 10_000;
const content = sampleBytes(1, size);
const missing = () => new AppError('BLOB_UNKNOWN', 'not here');

class PlacedSource extends ScriptedSource {
  readonly place: { readonly repository: string; readonly endpoint: string };

  constructor(endpoint: string, bytes: Uint8Array = content) {
    super(`test/org/app at ${endpoint}`, bytes);
    this.place = { repository: 'test/org/app', endpoint };
  }
}

/** A flight with one reader; `body` says what comes of it. */
async function flown(
  sources: readonly ScriptedSource[],
  options: Partial<FlightTableOptions>,
  body: (world: FlightWorld) => Promise<void>,
) {
  await using store = new MemoryContentStore();
  const world = new FlightWorld(store, digestOf(sources[0]?.content ?? content), options);
  const reader = await world.join(sources, sources[0]?.content.length);
  reader.read(size);
  await world.quiet();
  await body(world);
  await world.quiet();
  reader.reader.close();
  await world.quiet();
  const end = world.events.findLast(({ event }) => isFlightEnd(event));
  assert.ok(end);
  return { end, shown: world.table.ended()[0], keptBytes: store.partialBytes(world.digest), world };
}

/** The next request of the source is answered with so many bytes. */
async function brings(world: FlightWorld, source: ScriptedSource, bytes: number): Promise<void> {
  source.asking[0]?.answer();
  await world.quiet();
  source.awaited[0]?.deliver(bytes);
  await world.quiet();
}

async function fails(world: FlightWorld, source: ScriptedSource): Promise<void> {
  source.awaited[0]?.cut();
  await world.quiet();
  world.clock.advance(1000);
  await world.quiet();
  source.asking[0]?.refuse(missing());
  await world.quiet();
}

test('the end of one that failed says of what it was, how much came, and what stays', async () => {
  const a = new PlacedSource('a.example');
  const { end, shown, keptBytes } = await flown([a], {}, async (world) => {
    await brings(world, a, 4000);
    await fails(world, a);
  });
  assert.deepEqual([end.event, end.errorCode, end.sizeBytes], ['failed', 'BLOB_UNKNOWN', size]);
  assert.deepEqual([end.upstream, end.source, end.endpoint], ['test', 'test/org/app', 'a.example']);
  assert.deepEqual([end.filledBytes, end.receivedBytes, end.keptBytes], [4000, 4000, 4000]);
  assert.equal(keptBytes, 4000);
  assert.deepEqual([shown?.state, shown?.filledBytes], ['failed', 4000]);
});

test('one that nobody sent anything for names those that failed it, not those that were not asked', async () => {
  const [a, b, c] = [new PlacedSource('a.example'), new PlacedSource('b.example'), new PlacedSource('c.example')];
  c.standsAt = { ...c.standsAt, restMs: 7_200_000, restReason: 'rests' };
  const { end } = await flown([a, b, c], {}, async (world) => {
    a.asking[0]?.refuse(missing());
    await world.quiet();
    b.asking[0]?.refuse(missing());
  });
  assert.equal(c.attempts.length, 0);
  assert.deepEqual([end.event, end.errorCode], ['failed', 'BLOB_UNKNOWN']);
  assert.deepEqual([end.source, end.endpoint], ['test/org/app', 'a.example, b.example']);
  assert.deepEqual([end.filledBytes, end.receivedBytes, end.keptBytes], [0, 0, 0]);
});

test('one that is done names the endpoints whose bytes it has', async () => {
  const [a, b] = [new PlacedSource('a.example'), new PlacedSource('b.example')];
  const { end } = await flown([a, b], {}, async (world) => {
    a.asking[0]?.refuse(new AppError('UPSTREAM_FAILED', 'broken'));
    await world.quiet();
    await brings(world, b, size);
  });
  assert.deepEqual([end.event, end.source, end.endpoint], ['done', 'test/org/app', 'b.example']);
  assert.deepEqual([end.filledBytes, end.receivedBytes, end.keptBytes], [size, size, size]);
});

test('one that is parked says what stays for a later one, and nothing where it is thrown away', async () => {
  for (const [abandon, kept] of [
    ['keep', 3000],
    ['discard', 0],
  ] as const) {
    const a = new PlacedSource('a.example');
    const { end, keptBytes } = await flown([a], { abandon }, (world) => brings(world, a, 3000));
    assert.deepEqual([end.event, end.endpoint, end.keptBytes], ['parked', 'a.example', kept]);
    assert.deepEqual([end.filledBytes, end.receivedBytes, keptBytes], [3000, 3000, kept]);
  }
});

test('of a small blob, which is filled in memory, nothing stays', async () => {
  const a = new PlacedSource('a.example', content.subarray(0, 400));
  const { end } = await flown([a], {}, async (world) => {
    await brings(world, a, 100);
    await fails(world, a);
  });
  assert.deepEqual([end.event, end.filledBytes, end.keptBytes], ['failed', 100, 0]);
});

test('what wrong bodies cost is in what came, and nothing of them stays', async () => {
  const a = new PlacedSource('a.example', sampleBytes(2, size));
  const { end } = await flown([a], { maxBadBodies: 1 }, async (world) => {
    for (let body = 0; body < 2; body++) {
      a.asking[0]?.answer();
      await world.quiet();
      a.awaited[0]?.deliver(size, (chunk) => chunk.fill(0));
      await world.quiet();
      world.clock.advance(1000);
      await world.quiet();
    }
  });
  assert.deepEqual([end.event, end.errorCode, end.endpoint], ['failed', 'CONTENT_MISMATCH', 'a.example']);
  assert.deepEqual([end.receivedBytes, end.keptBytes], [2 * size, 0]);
});

test('what is told of one source names that one', async () => {
  const [a, b] = [new PlacedSource('a.example'), new PlacedSource('b.example')];
  const { world } = await flown([a, b], {}, async (world) => {
    a.asking[0]?.refuse(new AppError('UPSTREAM_FAILED', 'broken'));
    await world.quiet();
    await brings(world, b, size);
  });
  const failed = world.events.find(({ event }) => event === 'source-failed');
  assert.deepEqual([failed?.source, failed?.endpoint], ['test/org/app', 'a.example']);
});
