import assert from 'node:assert/strict';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import type { PartialBlob } from '../content-store.ts';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob } from '../testing/sample-content.ts';
import type { EvictionGoals } from './eviction-policy.ts';
import { Reservations } from './reservations.ts';
import { RoomKeeper, type RoomKeeperOptions } from './room-keeper.ts';

const mebibyte = 2 ** 20;
const maxSizeBytes = 100_000;
const [one, two, three] = [sampleBlob(1, 40_000), sampleBlob(2, 40_000), sampleBlob(3, 40_000)];

type Sample = typeof one;

/** A store on which reservations are seen with real files. */
async function fixtureOf(): Promise<FsStoreFixture> {
  return FsStoreFixture.create({ maxSizeBytes });
}

/** Does what a flight does: asks for room, then opens the file. */
async function begin({ store }: FsStoreFixture, { digest, bytes }: Sample): Promise<PartialBlob> {
  assert.equal(await store.content.makeRoom(bytes.byteLength, digest), 'enough');
  return store.content.openPartial(digest);
}

describe("room within the cache's bound", () => {
  it('content larger than all of it never fits, and nothing leaves for it', async () => {
    await using fixture = await fixtureOf();
    const { content } = fixture.store;
    await content.put(one.digest, one.bytes);
    assert.equal(await content.makeRoom(maxSizeBytes + 1), 'too-large');
    assert.equal(fixture.store.stats().blobs, 1);
    assert.equal(await content.makeRoom(maxSizeBytes), 'enough');
    assert.equal(fixture.store.stats().blobs, 0);
  });

  it('is not promised twice: a fill counts with what it is still going to write', async () => {
    await using fixture = await fixtureOf();
    const { content } = fixture.store;
    const [first, second] = [await begin(fixture, one), await begin(fixture, two)];
    assert.equal(await content.makeRoom(40_000, three.digest), 'cache-in-use');
    assert.deepEqual(fixture.store.health(), [], 'the disk has much room');
    await first.write(one.bytes.subarray(0, 30_000), 0);
    assert.equal(fixture.store.stats().reservedBytes, 50_000);
    assert.equal(
      await content.makeRoom(40_000, three.digest),
      'cache-in-use',
      'what is written counts as written, once',
    );
    assert.equal(await content.makeRoom(20_000, three.digest), 'enough');
    await first.discard();
    await first.close();
    await second.close();
    assert.equal(fixture.store.stats().reservedBytes, 20_000, 'what was promised and never begun');
    fixture.clock.advance(60_000);
    assert.equal(fixture.store.stats().reservedBytes, 0, 'lapses');
  });

  it('of two that ask at the same time one gets it', async () => {
    await using fixture = await fixtureOf();
    const { content } = fixture.store;
    const asked = [one, two, three].map(({ digest }) => content.makeRoom(60_000, digest));
    assert.deepEqual((await Promise.all(asked)).sort(), ['cache-in-use', 'cache-in-use', 'enough']);
  });

  it('a fill that ended in whatever way gives back what it did not take', async () => {
    await using fixture = await fixtureOf();
    for (const end of ['commit', 'discard', 'close'] as const) {
      const partial = await begin(fixture, one);
      await partial.write(one.bytes, 0);
      if (end === 'commit') await partial.commit(one.bytes.byteLength);
      if (end === 'discard') await partial.discard();
      assert.equal(fixture.store.stats().reservedBytes, 0, end);
      await partial.close();
      assert.equal(fixture.store.stats().reservedBytes, 0, end);
      const kept = await fixture.store.content.open(one.digest);
      if (kept !== undefined) await fixture.store.content.condemn(one.digest, kept.fd, 'the next one begins anew');
      kept?.close();
    }
  });

  it('the end of a fill leaves the reservation of the next one for the digest alone', async () => {
    await using fixture = await fixtureOf();
    const first = await begin(fixture, one);
    await first.close();
    const second = await begin(fixture, one);
    await first.close();
    assert.equal(fixture.store.stats().reservedBytes, 40_000);
    await second.close();
  });

  it('what an earlier fill left counts as a part of it, and does not leave for it', async () => {
    await using fixture = await fixtureOf();
    const large = sampleBlob(4, 90_000);
    const left = await begin(fixture, large);
    await left.write(large.bytes.subarray(0, 60_000), 0);
    await left.record([{ start: 0, end: 60_000 }], 90_000);
    await left.close();
    const { content } = await fixture.reopen();
    await content.put(one.digest, one.bytes.subarray(0, 30_000));
    const again = await begin(fixture, large);
    assert.deepEqual(again.resumed.filled, [{ start: 0, end: 60_000 }]);
    assert.equal(fixture.store.stats().reservedBytes, 30_000);
    assert.equal(await content.sizeOf(one.digest), undefined, 'other content left instead');
    await again.close();
  });

  it('a fill that learns its size while it runs reserves the rest from then on', async () => {
    await using fixture = await fixtureOf();
    const partial = await fixture.store.content.openPartial(one.digest);
    await partial.record([{ start: 0, end: 0 }], undefined);
    assert.equal(fixture.store.stats().reservedBytes, 0);
    await partial.write(one.bytes.subarray(0, 10_000), 0);
    await partial.record([{ start: 0, end: 10_000 }], 40_000);
    assert.equal(fixture.store.stats().reservedBytes, 30_000);
    await partial.close();
  });

  it('a fill of unknown size ends where it passes the whole cache', async () => {
    await using fixture = await fixtureOf();
    const partial = await fixture.store.content.openPartial(one.digest);
    await partial.write(new Uint8Array(maxSizeBytes), 0);
    await assert.rejects(partial.write(new Uint8Array(1), maxSizeBytes), { code: 'STORAGE_FULL' });
    assert.deepEqual(fixture.store.health(), [], 'which says nothing about the disk');
    await partial.discard();
    await partial.close();
  });
});

it("what is given back after the end is nobody's affair any more, and finds nothing to look at", async () => {
  let isClosed = false;
  const usageBytes = () => {
    if (isClosed) throw new Error('the catalog is closed');
    return 0;
  };
  const space = { freeBytes: async () => 1000, freeBytesNow: async () => 1000 };
  const { promise: looking, resolve } = Promise.withResolvers<number>();
  const keeper = new RoomKeeper(
    {
      evictor: { evict: async () => true },
      space: { ...space, freeBytes: () => looking },
      reservations: new Reservations({ clock: new VirtualClock(), writtenBytes: () => 0 }),
      writtenBytes: () => 0,
      usageBytes,
      evictableBytes: () => 0,
      onDiskFull: () => {},
    },
    { maxSizeBytes: 1000, minFreeBytes: 0 },
  );
  const kept = keeper.keep();
  const disposed = keeper[Symbol.asyncDispose]();
  isClosed = true;
  resolve(1000);
  await Promise.all([kept, disposed, keeper.keep()]);
});

/** A room keeper on a disk of numbers. */
function keeperOf(
  state: { free: number | undefined; usage: number; evictable: number; letsGo?: boolean },
  options: Partial<RoomKeeperOptions> = {},
) {
  const evictions: EvictionGoals[] = [];
  const reports: number[] = [];
  const reservations = new Reservations({ clock: new VirtualClock(), writtenBytes: () => 0 });
  const keeper = new RoomKeeper(
    {
      evictor: {
        evict: async (goals) => {
          evictions.push(goals);
          const freed = Math.min(state.evictable, state.usage - goals.wantedBytes);
          state.usage -= freed;
          state.evictable -= freed;
          if (state.free !== undefined) state.free += freed;
          return state.letsGo ?? true;
        },
      },
      space: { freeBytes: async () => state.free, freeBytesNow: async () => state.free },
      reservations,
      writtenBytes: () => 0,
      usageBytes: () => state.usage,
      evictableBytes: () => state.evictable,
      onDiskFull: (free) => void reports.push(free),
    },
    { maxSizeBytes: 1000, minFreeBytes: 50, ...options },
  );
  return { keeper, evictions, reports, reservations };
}

describe('room on the disk', () => {
  it('is left free as configured: content leaves before that is touched, and no more than must', async () => {
    const { keeper, evictions } = keeperOf({ free: 100, usage: 500, evictable: 400 });
    assert.equal(await keeper.makeRoom(50), 'enough');
    assert.deepEqual(evictions, []);
    assert.equal(await keeper.makeRoom(80), 'enough');
    assert.deepEqual(evictions, [{ wantedBytes: 470, neededBytes: 470 }]);
  });

  it('that could not be had although everything left is refused before anything leaves, and reported', async () => {
    const { keeper, evictions, reports } = keeperOf({ free: 100, usage: 500, evictable: 200 });
    assert.equal(await keeper.makeRoom(251), 'disk-full');
    assert.deepEqual([evictions, reports], [[], [100]]);
    assert.equal(await keeper.makeRoom(250), 'enough');
  });

  it('and room within the cache are told apart: the one is blamed that would not do although everything left', async () => {
    const roomy = { free: 5000, usage: 900, evictable: 100 };
    const inUse = keeperOf(roomy);
    assert.equal(await inUse.keeper.makeRoom(300), 'cache-in-use');
    assert.equal(await keeperOf({ ...roomy, free: 60 }).keeper.makeRoom(300), 'disk-full');
    assert.equal(await keeperOf({ ...roomy, free: 340 }).keeper.makeRoom(300), 'cache-in-use');
    assert.deepEqual(inUse.reports, []);
  });

  it('that lets nothing go is a failing one, not a full one', async () => {
    const { keeper, evictions, reports } = keeperOf({ free: 5000, usage: 900, evictable: 500, letsGo: false });
    assert.equal(await keeper.makeRoom(300), 'disk-failed');
    assert.deepEqual([evictions.length, reports], [1, []]);
  });

  it('counts what other fills are still going to write', async () => {
    const { keeper } = keeperOf({ free: 250, usage: 0, evictable: 0 });
    assert.equal(await keeper.makeRoom(150, one.digest), 'enough');
    assert.equal(await keeper.makeRoom(60, two.digest), 'disk-full');
    assert.equal(await keeper.makeRoom(50, two.digest), 'enough');
  });

  it('is looked at again after an eviction that freed less than it should', async () => {
    const state = {
      usage: 500,
      evictable: 500,
      get free() {
        return Math.max(0, 460 - this.usage);
      },
      set free(_) {},
    };
    const { keeper, evictions } = keeperOf(state);
    assert.equal(await keeper.makeRoom(100), 'enough');
    assert.equal(evictions.length, 2);
  });

  it('that nobody can tell is no bound', async () => {
    const { keeper } = keeperOf({ free: undefined, usage: 0, evictable: 0 });
    assert.equal(await keeper.makeRoom(900), 'enough');
  });

  it('is given back when others take of the disk, unless that would be in vain', async () => {
    const state = { free: 20, usage: 500, evictable: 25 };
    const { keeper, evictions } = keeperOf(state);
    await keeper.keep();
    assert.deepEqual(evictions, []);
    state.evictable = 400;
    await keeper.keep();
    assert.deepEqual(evictions, [{ wantedBytes: 470, neededBytes: 470 }]);
    await keeper.keep();
    assert.equal(evictions.length, 1, 'once it is there nothing more leaves');
  });

  it('for a fill that was refused in the middle: what it still needs leaves, once for each', async () => {
    const state = { free: 0, usage: 900 * mebibyte, evictable: 500 * mebibyte };
    const { keeper, evictions, reservations } = keeperOf(state, { maxSizeBytes: 1000 * mebibyte });
    reservations.promise(one.digest, 20 * mebibyte);
    await Promise.all([keeper.relieve(one.digest), keeper.relieve(two.digest)]);
    assert.deepEqual(
      evictions.map(({ neededBytes }) => neededBytes / mebibyte),
      [879],
      'the second found room that the first had made',
    );
  });

  it('for a fill that needs more than could leave, nothing leaves', async () => {
    const state = { free: 0, usage: 900 * mebibyte, evictable: 5 * mebibyte };
    const { keeper, evictions, reservations } = keeperOf(state, { maxSizeBytes: 1000 * mebibyte });
    reservations.promise(one.digest, 20 * mebibyte);
    await keeper.relieve(one.digest);
    assert.deepEqual(evictions, []);
  });
});

describe('the folder of partial files', () => {
  it('is counted as what is written, while a reservation counts the rest', async () => {
    await using fixture = await fixtureOf();
    const partial = await begin(fixture, one);
    await partial.write(one.bytes.subarray(30_000), 30_000);
    const { sizeBytes, reservedBytes } = fixture.store.stats();
    assert.deepEqual([sizeBytes, reservedBytes], [10_000, 30_000]);
    const [name = ''] = await readdir(fixture.layout.ingest);
    assert.equal((await stat(join(fixture.layout.ingest, name))).size, 40_000, 'sparse');
    await partial.close();
  });

  it('loses no file to eviction that another process put there', async () => {
    await using fixture = await fixtureOf();
    await writeFile(join(fixture.layout.root, 'README'), 'mine');
    await fixture.store.content.put(one.digest, one.bytes);
    await fixture.store.content.makeRoom(maxSizeBytes);
    assert.ok((await stat(join(fixture.layout.root, 'README'))).isFile());
  });
});
