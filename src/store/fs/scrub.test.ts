import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import type { Digest } from '../../core/digest.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Channels } from '../../telemetry/channels.ts';
import { InlineHasher } from '../hashing/inline-hasher.ts';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob, sampleDigest, sampleScope } from '../testing/sample-content.ts';
import { Scrub } from './scrub.ts';

const good = sampleBlob(1, 600_000);
const bad = sampleBlob(2, 600_000);
const scope = sampleScope('library/alpine');

/** Moves the clock along whatever waits on it, until `condition` holds. */
async function advanceUntil({ clock }: FsStoreFixture, condition: () => boolean): Promise<number> {
  const startedMs = clock.monotonic();
  while (!condition()) {
    await nextTick();
    if (clock.nextDueInMs !== undefined) clock.advance(clock.nextDueInMs);
  }
  return clock.monotonic() - startedMs;
}

async function fillAndDamage(fixture: FsStoreFixture): Promise<void> {
  const { content, catalog } = fixture.store;
  await content.put(good.digest, good.bytes);
  await content.put(bad.digest, bad.bytes);
  catalog.link(scope, [{ digest: bad.digest, sizeBytes: 600_000, mediaType: undefined }]);
  await writeFile(fixture.layout.blob(bad.digest), sampleBlob(3, 600_000).bytes);
}

describe('the scrub', () => {
  it('puts damaged content in quarantine, keeping its links, at the rate that it was given', async () => {
    await using fixture = await FsStoreFixture.create({ scrubBytesPerSecond: 100_000 });
    await fillAndDamage(fixture);
    await fixture.reopen();
    const isFound = () => fixture.notices.some(({ message }) => message.includes('is damaged on disk'));
    const tookMs = await advanceUntil(fixture, isFound);
    const { content, catalog } = fixture.store;
    assert.equal(await content.sizeOf(bad.digest), undefined);
    assert.notEqual(catalog.linked(scope, bad.digest), undefined);
    assert.deepEqual(await content.read(good.digest, 1e6), good.bytes);
    assert.ok(tookMs >= 5900, `600 kB at 100 kB/s took ${tookMs} ms`);
    await content.put(bad.digest, bad.bytes);
    assert.deepEqual(await content.read(bad.digest, 1e6), bad.bytes);
  });

  it('finds files without a row', async () => {
    await using fixture = await FsStoreFixture.create({ scrubBytesPerSecond: 1e6 });
    await fixture.store.settled;
    await writeFile(fixture.layout.blob(good.digest), good.bytes);
    await advanceUntil(fixture, () => fixture.store.stats().blobs === 1);
  });

  it('takes its time with small blobs, too: each costs a few calls of the system', async () => {
    const clock = new VirtualClock();
    const over = Promise.withResolvers<void>();
    const small = Array.from({ length: 20 }, (_, n) => sampleDigest(`blob ${n}`)).sort();
    const row = (digest: Digest) => ({ digest, sizeBytes: 100, accessedAtMs: 0, isPinned: false, parents: 0 });
    await using scrub = new Scrub(
      {
        clock,
        channels: new Channels(),
        hasher: new InlineHasher(),
        blobs: { slice: (after = '' as Digest) => small.filter((digest) => digest > after).map(row) },
        content: { hold: async () => undefined, proved: async () => {} },
        condemnation: { file: async () => {} },
        adoptStored: async () => true,
        position: { get: () => undefined, set: (digest) => digest === '' && over.resolve() },
      },
      { bytesPerSecond: 64 * 1024 },
    );
    scrub.start();
    let tookMs: number | undefined;
    void over.promise.then(() => {
      tookMs = clock.monotonic();
    });
    while (tookMs === undefined) {
      await nextTick();
      if (tookMs === undefined && clock.nextDueInMs !== undefined) clock.advance(clock.nextDueInMs);
    }
    assert.ok(tookMs >= 19_000, `20 blobs, each as 64 KiB at 64 KiB/s, took ${tookMs} ms`);
  });

  it('does nothing where its rate is 0', async () => {
    await using fixture = await FsStoreFixture.create({ scrubBytesPerSecond: 0 });
    await fillAndDamage(fixture);
    await fixture.reopen();
    await fixture.store.settled;
    await nextTick();
    assert.equal(fixture.clock.pending, 0);
  });

  it('ends at once with the store, in the middle of a blob', async () => {
    await using fixture = await FsStoreFixture.create({ scrubBytesPerSecond: 1 });
    await fixture.store.content.put(good.digest, good.bytes);
    await fixture.reopen();
    await fixture.store.settled;
    while (fixture.clock.pending === 0) await nextTick();
    await fixture.close();
    assert.equal(fixture.clock.pending, 0);
  });
});
