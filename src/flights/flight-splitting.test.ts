import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import type { FlightReader } from './flight-reader.ts';
import type { FlightTableOptions } from './flight-table.ts';
import type { SplitLimits } from './splitting.ts';
import { FlightWorld } from './testing/flight-world.ts';
import { type RatedScript, RatedSource } from './testing/rated-source.ts';

/** Everything is a hundredth of what it is in earnest, but for time: 200 MB at 10 MB/s for a connection. */
const MB = 10_000;
const size = 200 * MB;
const rate = 10 * MB;
const firstByteMs = 20;
const content = sampleBytes(1, size);
const digest = digestOf(content);
const stepMs = 5;

const splitting: Partial<FlightTableOptions> = {
  maxRanges: 8,
  maxSplit: 8,
  plan: { patienceBytes: MB, leastRangeBytes: MB / 4, readThroughBytes: MB / 4 },
  split: { fromBytes: 32 * MB, leadBytes: 8 * MB, leastRangeBytes: MB, mostRangeBytes: 16 * MB },
};

/** One connection alone takes so long. */
const aloneMs = firstByteMs + (size * 1000) / rate;

interface Pulled {
  readonly ms: number;
  readonly source: RatedSource;
  readonly world: FlightWorld;
}

/** A blob pulled to its end by one reader; checks that no byte was fetched twice but for `excusedBytes`. */
async function pulled(
  script: RatedScript,
  options: Partial<FlightTableOptions> = {},
  meanwhile: (ms: number, source: RatedSource, world: FlightWorld) => void = () => {},
): Promise<Pulled> {
  await using store = new MemoryContentStore();
  const world = new FlightWorld(store, digest, { ...splitting, ...options });
  const source = new RatedSource(world.clock, content, script);
  const request = { digest, sizeBytes: size, sources: [source], range: undefined };
  const { reader } = await world.table.join(request, new AbortController().signal);
  meanwhile(0, source, world);
  for (let ms = 0; world.table.size > 0; ms += stepMs) {
    assert.ok(ms < 4 * aloneMs, `wedged: ${JSON.stringify(world.table.snapshots())}`);
    await world.quiet();
    meanwhile(ms, source, world);
    world.clock.advance(stepMs);
    source.pass(stepMs);
  }
  assert.equal(await store.sizeOf(digest), size);
  assert.equal(reader.failure, undefined);
  reader.close();
  world.assertNothingLeft();
  assert.ok(
    source.sent.every((times) => times === 1),
    'P1: a byte was fetched twice',
  );
  const done = world.events.find(({ event }) => event === 'done');
  return { ms: done?.durationMs ?? 0, source, world };
}

const each = { firstByteMs, bytesPerSecond: () => rate };
const times = ({ ms }: Pulled): number => aloneMs / ms;

describe('a large blob', () => {
  it('comes six times as fast where each of eight connections is limited', async () => {
    const pull = await pulled(each);
    assert.equal(pull.source.mostOpen, 8);
    assert.equal(pull.source.cutShort, 0);
    assert.ok(times(pull) >= 6, `${times(pull).toFixed(2)} times as fast`);
  });

  it('comes no slower, by few requests, where all connections share one limit', async () => {
    const pull = await pulled({ firstByteMs, bytesPerSecond: (_, open) => rate / open });
    assert.ok(pull.ms <= aloneMs * 1.005, `${pull.ms} ms instead of ${aloneMs}`);
    assert.equal(pull.source.mostOpen, 2);
    assert.equal(pull.source.requests.length, 3);
    assert.equal(pull.source.cutShort, 0);
  });

  it('comes in order, over one connection, while another node reads it', async () => {
    let other: FlightReader | undefined;
    const pull = await pulled(each, {}, (ms, { openCount }, { table }) => {
      if (ms === 0 && other === undefined) other = table.follow(digest, undefined);
      other?.passOn();
      if (ms > firstByteMs && openCount === 0) other?.close();
    });
    assert.equal(pull.source.mostOpen, 1);
  });

  it('uses no more connections than pay', async () => {
    const openLate: number[] = [];
    const script = { firstByteMs, bytesPerSecond: (_: number, open: number) => Math.min(rate, (2 * rate) / open) };
    const pull = await pulled(script, {}, (ms, { openCount }) => {
      if (ms > 3000 && openCount > 0) openLate.push(openCount);
    });
    assert.ok(times(pull) >= 1.9, `${times(pull).toFixed(2)} times as fast`);
    // One that is about to end is followed a moment earlier.
    assert.ok(openLate.filter((open) => open > 2).length < openLate.length / 5);
    assert.equal(pull.source.cutShort, 0);
  });

  it('is shared by need where connections differ by four times', async () => {
    const pull = await pulled({ firstByteMs, bytesPerSecond: (slot) => (slot % 2 === 0 ? rate : rate / 4) });
    // All together are five times as fast as the first.
    assert.ok(times(pull) >= 3.5, `${times(pull).toFixed(2)} times as fast`);
    assert.equal(pull.source.cutShort, 0);
  });

  it('goes on with one connection where the second gets 429, and asks for no other', async () => {
    const limited = new AppError('UPSTREAM_RATE_LIMITED', 'one at a time', { retryAfterMs: 1000 });
    const pull = await pulled({ ...each, refuses: (_, open) => (open > 0 ? limited : undefined) });
    assert.equal(pull.source.requests.length, 3);
    // The rest that it asked for is kept, though the first range ends meanwhile.
    assert.ok(pull.ms <= aloneMs + 1000, `${pull.ms} ms instead of ${aloneMs}`);
  });

  it('stays at what it has where the fourth connection is refused for want of room', async () => {
    const full = new AppError('OVERLOADED', 'no connection is free');
    const pull = await pulled({ ...each, refuses: (_, open) => (open > 2 ? full : undefined) });
    assert.equal(pull.source.mostOpen, 3);
    assert.ok(times(pull) >= 2.6, `${times(pull).toFixed(2)} times as fast`);
  });

  it('goes on at each first missing byte where a connection dies in each range', async () => {
    const pull = await pulled({ ...each, breaksAfter: (index) => (index % 2 === 0 ? 3 * MB : undefined) });
    assert.ok(times(pull) >= 3, `${times(pull).toFixed(2)} times as fast`);
  });

  it('is not held up by a connection that never begins to deliver', async () => {
    const never = { ...each, firstByteMs, isSilent: (index: number) => index === 1 };
    const pull = await pulled(never);
    assert.ok(pull.ms <= aloneMs + 2 * firstByteMs, `${pull.ms} ms instead of ${aloneMs}`);
  });

  it('takes no connection from others who wait', async () => {
    const pull = await pulled(each, {}, (_, source) => {
      source.standsAt = { ...source.standsAt, hasRoom: false };
    });
    assert.equal(pull.source.mostOpen, 1);
    assert.equal(pull.source.requests.length, 1);
  });

  it('gives the connections of others back as its ranges end', async () => {
    const pull = await pulled(each, {}, (ms, source) => {
      source.standsAt = { ...source.standsAt, hasRoom: ms < 1500 };
    });
    assert.equal(pull.source.mostOpen, 8);
    const late = pull.source.requests.filter(({ optional }) => !optional);
    assert.ok(late.length > 1, 'what is left is asked for by one connection');
  });

  it('is one request where that is all that is allowed', async () => {
    for (const options of [{ maxSplit: 1 }, { maxRanges: 1 }]) {
      const { source } = await pulled(each, options);
      assert.deepEqual(source.requests, [{ start: 0, end: undefined, optional: false }]);
    }
  });

  it('never has more connections than ranges are allowed', async () => {
    const { source } = await pulled(each, { maxRanges: 3 });
    assert.equal(source.mostOpen, 3);
  });

  it('comes whole, by one request, from a source that ignores ranges', async () => {
    const { source } = await pulled({ ...each, ignoresRanges: true });
    assert.equal(source.requests.length, 1);
  });

  it('is asked for in one request once what is left is small', async () => {
    const { source } = await pulled(each, { split: { ...splitting.split, fromBytes: size + 1 } as SplitLimits });
    assert.equal(source.requests.length, 1);
  });
});
