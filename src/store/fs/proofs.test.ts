import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { open, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import type { StoredBlob } from '../content-store.ts';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob } from '../testing/sample-content.ts';

const weekMs = 7 * 24 * 3600 * 1000;
const blob = sampleBlob(1, 600_000);
const small = sampleBlob(2, 3000);
const { digest, bytes } = blob;

type Sample = typeof blob;

/** A store that has the blob from an earlier process. */
async function restarted(contents: readonly Sample[] = [blob], meanwhile?: (path: string) => Promise<void>) {
  const fixture = await FsStoreFixture.create();
  for (const each of contents) await fixture.store.content.put(each.digest, each.bytes);
  await fixture.reopen((layout) => meanwhile?.(layout.blob(digest)) ?? Promise.resolve());
  await fixture.store.settled;
  return fixture;
}

async function openIn({ store }: FsStoreFixture, of: Sample = blob): Promise<StoredBlob> {
  const opened = await store.content.open(of.digest);
  assert.ok(opened, 'a miss');
  return opened;
}

/** Turns one bit and sets the times back, as a disk would that lies. */
async function flipBit(path: string, atByte = 400_000): Promise<void> {
  const { atime, mtime } = await stat(path);
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, atByte);
  byte.writeUInt8(byte.readUInt8(0) ^ 4);
  await file.write(byte, 0, 1, atByte);
  await file.close();
  await utimes(path, atime, mtime);
}

async function assertCondemned(fixture: FsStoreFixture, reason: string): Promise<void> {
  const { content } = fixture.store;
  assert.deepEqual(fixture.quarantined, [{ digest, foundBy: 'serving', reason }]);
  assert.equal(await content.open(digest), undefined, 'a new opening is a miss');
  assert.equal(await content.sizeOf(digest), undefined);
  assert.ok((await stat(fixture.layout.quarantined(digest))).isFile());
  await content.put(digest, bytes);
  const again = await openIn(fixture);
  assert.equal(again.proof, undefined, 'what was committed anew is served as it is');
  again.close();
}

describe('content that this process has verified', () => {
  it('is served as it is', async () => {
    await using fixture = await FsStoreFixture.create();
    const { content } = fixture.store;
    await content.put(small.digest, small.bytes);
    const partial = await content.openPartial(digest);
    await partial.write(bytes, 0);
    await partial.commit(bytes.byteLength);
    await partial.close();
    for (const each of [small, blob]) {
      const opened = await openIn(fixture, each);
      assert.equal(opened.proof, undefined);
      opened.close();
    }
  });

  it('is hashed again once that is longer ago than verifyAfter', async () => {
    await using fixture = await FsStoreFixture.create({ verifyAfterMs: weekMs });
    await fixture.store.content.put(digest, bytes);
    fixture.clock.advance(weekMs - 1);
    const before = await openIn(fixture);
    assert.equal(before.proof, undefined);
    before.close();
    fixture.clock.advance(1);
    const after = await openIn(fixture);
    assert.notEqual(after.proof, undefined);
    await after.proof;
    const again = await openIn(fixture);
    assert.equal(again.proof, undefined, 'one proof holds as long again');
    after.close();
    again.close();
  });

  it('is hashed at each opening where verifyAfter is 0', async () => {
    await using fixture = await FsStoreFixture.create({ verifyAfterMs: 0 });
    await fixture.store.content.put(digest, bytes);
    const first = await openIn(fixture);
    await first.proof;
    const second = await openIn(fixture);
    assert.ok(first.proof !== undefined && second.proof !== undefined && first.proof !== second.proof);
    await second.proof;
    first.close();
    second.close();
  });

  it('is hashed again where its file was written to, though its time was set back', async () => {
    await using fixture = await FsStoreFixture.create();
    await fixture.store.content.put(digest, bytes);
    await flipBit(fixture.layout.blob(digest));
    const opened = await openIn(fixture);
    await assert.rejects(opened.proof ?? Promise.resolve(), { code: 'STORAGE_FAILED', message: /its hash is another/ });
    opened.close();
    await assertCondemned(fixture, 'its hash is another');
  });

  it('is hashed again where another file has its place', async () => {
    await using fixture = await FsStoreFixture.create();
    const path = fixture.layout.blob(digest);
    await fixture.store.content.put(digest, bytes);
    await writeFile(`${path}.other`, bytes);
    await rename(`${path}.other`, path);
    const opened = await openIn(fixture);
    assert.notEqual(opened.proof, undefined);
    await opened.proof;
    opened.close();
  });

  it('is found by the scrub as well', async () => {
    await using fixture = await FsStoreFixture.create({ scrubBytesPerSecond: 1000 });
    await fixture.store.content.put(digest, bytes);
    await fixture.reopen();
    await fixture.store.settled;
    // The scrub rests for a day when it has been through.
    while ((fixture.clock.nextDueInMs ?? 0) < weekMs / 7) {
      fixture.clock.advance(fixture.clock.nextDueInMs ?? 0);
      await stat(fixture.layout.root);
    }
    const opened = await openIn(fixture);
    assert.equal(opened.proof, undefined);
    opened.close();
  });
});

describe('content of an earlier process', () => {
  it('is proved once for all who have it open, and known afterwards', async () => {
    await using fixture = await restarted();
    const opened = await Promise.all(Array.from({ length: 20 }, () => openIn(fixture)));
    assert.equal(new Set(opened.map(({ proof }) => proof)).size, 1);
    await Promise.all(opened.map(({ proof }) => proof));
    for (const each of opened) each.close();
    const later = await openIn(fixture);
    assert.equal(later.proof, undefined);
    later.close();
  });

  it('is proved although the reader who asked first left, while another stays', async () => {
    await using fixture = await restarted();
    const [first, second] = [await openIn(fixture), await openIn(fixture)];
    first.close();
    first.close();
    await second.proof;
    second.close();
  });

  for (const [what, damage, reason] of [
    ['with a flipped bit', (path: string) => flipBit(path), 'its hash is another'],
    ['replaced by as much of something else', (path: string) => replace(path), 'its hash is another'],
  ] as const) {
    it(`${what} is found out while it is served, and fetched again`, async () => {
      await using fixture = await restarted([blob], damage);
      const readers = [await openIn(fixture), await openIn(fixture)];
      for (const reader of readers) {
        await assert.rejects(reader.proof ?? Promise.resolve(), { code: 'STORAGE_FAILED', message: /damaged on disk/ });
      }
      assert.equal(await fixture.store.content.sizeOf(digest), undefined, 'it has left before anybody is told');
      for (const reader of readers) reader.close();
      await assertCondemned(fixture, reason);
    });
  }

  it('cut short before it is opened is a miss', async () => {
    await using fixture = await restarted([blob], (path) => truncate(path, 100_000));
    assert.equal(await fixture.store.content.open(digest), undefined);
    await assertCondemned(fixture, 'it has 100000 of 600000 bytes');
  });

  it('cut short is shared by nobody while it is looked at', async () => {
    await using fixture = await restarted([blob], (path) => truncate(path, 500_000));
    const { content } = fixture.store;
    let isOver = false;
    const first = content.open(digest).finally(() => {
      isOver = true;
    });
    const others: Promise<StoredBlob | undefined>[] = [];
    while (!isOver) {
      others.push(content.open(digest));
      await nextTick();
    }
    assert.equal(await first, undefined);
    for (const other of others) assert.equal(await other, undefined);
  });

  it('cut short with its row lost is found out by its hash', async () => {
    await using fixture = await FsStoreFixture.create();
    await fixture.store.content.put(digest, bytes);
    await fixture.reopen(async (layout) => {
      for (const suffix of ['', '-wal', '-shm']) await rm(`${layout.catalog}${suffix}`, { force: true });
      await truncate(layout.blob(digest), 100_000);
    });
    const opened = await openIn(fixture);
    await assert.rejects(opened.proof ?? Promise.resolve(), { code: 'STORAGE_FAILED' });
    opened.close();
    await assertCondemned(fixture, 'its hash is another');
  });

  it('cut short while it is hashed is damage', async () => {
    const large = sampleBlob(3, 4_000_000);
    await using fixture = await restarted([large]);
    const opened = await openIn(fixture, large);
    await truncate(fixture.layout.blob(large.digest), 0);
    await assert.rejects(opened.proof ?? Promise.resolve(), { code: 'STORAGE_FAILED', message: /shorter|another/ });
    opened.close();
  });

  it('refused by nobody: a proof that nobody listens to fails quietly', async () => {
    await using fixture = await restarted([blob], (path) => flipBit(path));
    const opened = await openIn(fixture);
    opened.close();
    while (fixture.quarantined.length === 0) await stat(fixture.layout.root);
    await assertCondemned(fixture, 'its hash is another');
  });

  it('that was replaced while the old file failed its proof stays', async () => {
    await using fixture = await restarted([blob], (path) => flipBit(path));
    const path = fixture.layout.blob(digest);
    await writeFile(`${path}.new`, bytes);
    const opened = await openIn(fixture);
    // Before the first chunk was read: the verdict comes when another file has the name.
    renameSync(`${path}.new`, path);
    await assert.rejects(opened.proof ?? Promise.resolve(), { code: 'STORAGE_FAILED' });
    opened.close();
    assert.deepEqual(fixture.quarantined, []);
    const again = await openIn(fixture);
    await again.proof;
    again.close();
  });
});

describe('small content that is read whole', () => {
  it('is verified before it is returned: damage is a miss', async () => {
    await using fixture = await restarted([blob], (path) => flipBit(path));
    assert.equal(await fixture.store.content.read(digest, 1e6), undefined);
    await assertCondemned(fixture, 'its hash is another');
  });

  it('counts as proved when it was right', async () => {
    await using fixture = await restarted();
    assert.deepEqual(await fixture.store.content.read(digest, 1e6), bytes);
    const opened = await openIn(fixture);
    assert.equal(opened.proof, undefined);
    opened.close();
  });

  it('is written anew by who has it, unless what is there is proved', async () => {
    await using fixture = await restarted([blob], (path) => flipBit(path));
    await fixture.store.content.put(digest, bytes);
    assert.deepEqual(new Uint8Array(await readFile(fixture.layout.blob(digest))), bytes);
    assert.deepEqual(fixture.quarantined, []);
    const { ino } = await stat(fixture.layout.blob(digest));
    await fixture.store.content.put(digest, bytes);
    assert.equal((await stat(fixture.layout.blob(digest))).ino, ino);
  });
});

describe('content that is condemned', () => {
  it('stays readable for who has it open, and is a miss for all others', async () => {
    await using fixture = await restarted();
    const opened = await openIn(fixture);
    await fixture.store.content.condemn(digest, opened.fd, 'a client said so');
    const head = Buffer.alloc(100);
    const file = await open(`/proc/self/fd/${opened.fd}`);
    await file.read(head, 0, 100, 0);
    await file.close();
    assert.deepEqual(new Uint8Array(head), bytes.subarray(0, 100));
    opened.close();
    await assertCondemned(fixture, 'a client said so');
  });

  it('and has gone from disk meanwhile is nothing, and a miss', async () => {
    await using fixture = await restarted();
    const opened = await openIn(fixture);
    await rm(fixture.layout.blob(digest));
    await fixture.store.content.condemn(digest, opened.fd, 'nothing');
    opened.close();
    assert.deepEqual(fixture.quarantined, []);
    assert.equal(await fixture.store.content.open(digest), undefined);
    assert.equal(await fixture.store.content.sizeOf(digest), undefined);
  });

  it('by a reader of the file before is left alone: it is not what that reader found damaged', async () => {
    await using fixture = await restarted();
    const { content } = fixture.store;
    const [first, second] = [await openIn(fixture), await openIn(fixture)];
    await content.condemn(digest, first.fd, 'found by the first');
    await content.put(digest, bytes);
    await content.condemn(digest, second.fd, 'found by the second');
    assert.deepEqual(fixture.quarantined, [{ digest, foundBy: 'serving', reason: 'found by the first' }]);
    const fresh = await openIn(fixture);
    assert.equal(fresh.proof, undefined);
    for (const each of [first, second, fresh]) each.close();
  });

  it('is found by its file also where the descriptor is closed at once', async () => {
    await using fixture = await restarted();
    const opened = await openIn(fixture);
    const condemned = fixture.store.content.condemn(digest, opened.fd, 'a client said so');
    opened.close();
    await condemned;
    await assertCondemned(fixture, 'a client said so');
  });

  it('as a fill that is in the store by now has left it', async () => {
    await using fixture = await FsStoreFixture.create();
    const { content } = fixture.store;
    const partial = await content.openPartial(digest);
    await partial.write(bytes, 0);
    await partial.commit(bytes.byteLength);
    await content.condemn(digest, partial.fd, 'a follower could not read it');
    await partial.close();
    await assertCondemned(fixture, 'a follower could not read it');
  });
});

async function replace(path: string): Promise<void> {
  await rm(path);
  await writeFile(path, sampleBlob(9, bytes.byteLength).bytes);
}
