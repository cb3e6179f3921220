import assert from 'node:assert/strict';
import { mkdir, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob, sampleManifest, sampleScope } from '../testing/sample-content.ts';
import { cannotFail, cannotMount, FailingDisk, SmallDisk } from '../testing/small-disk.ts';
import { storageError } from './storage-error.ts';

const mebibyte = 2 ** 20;
const scope = sampleScope('library/alpine');
const old = [sampleBlob(1, 2 * mebibyte), sampleBlob(2, 2 * mebibyte)] as const;
const large = sampleBlob(3, 4 * mebibyte);
const pieceBytes = 256 * 1024;

type Sample = ReturnType<typeof sampleBlob>;

async function keep({ clock, store }: FsStoreFixture, ...blobs: readonly Sample[]): Promise<void> {
  for (const { digest, bytes } of blobs) {
    await store.content.put(digest, bytes);
    clock.advance(1000);
  }
}

/** Writes what is left of the blob piece by piece, and commits it. */
async function fill({ store }: FsStoreFixture, { digest, bytes }: Sample): Promise<void> {
  const partial = await store.content.openPartial(digest);
  try {
    await partial.record([{ start: 0, end: 0 }], bytes.byteLength);
    for (let offset = 0; offset < bytes.byteLength; offset += pieceBytes) {
      await partial.write(bytes.subarray(offset, offset + pieceBytes), offset);
    }
    await partial.commit(bytes.byteLength);
  } finally {
    await partial.close();
  }
}

async function isStored({ store }: FsStoreFixture, { digest, bytes }: Sample): Promise<boolean> {
  const stored = await store.content.read(digest, 1e9);
  if (stored !== undefined) assert.deepEqual(stored, bytes);
  return stored !== undefined;
}

describe('a disk that is really full', { skip: await cannotMount() }, () => {
  it('gives its room to a fill before it begins, as far as content may leave', async () => {
    await using fixture = await FsStoreFixture.create({}, await SmallDisk.mount(8 * mebibyte));
    await keep(fixture, ...old);
    assert.equal(await fixture.store.content.makeRoom(large.bytes.byteLength, large.digest), 'enough');
    assert.equal(await isStored(fixture, old[0]), false);
    await fill(fixture, large);
    assert.equal(await isStored(fixture, large), true);
    assert.deepEqual(fixture.store.health(), []);
  });

  it('is said before anything leaves for a fill that could never fit', async () => {
    await using fixture = await FsStoreFixture.create({}, await SmallDisk.mount(8 * mebibyte));
    await keep(fixture, ...old);
    assert.equal(await fixture.store.content.makeRoom(9 * mebibyte, large.digest), 'disk-full');
    for (const blob of old) assert.equal(await isStored(fixture, blob), true);
    assert.match(fixture.store.health().join(), /the disk is full: there is no room for 9.0 MiB/);
  });

  it('keeps free what it is to keep free', async () => {
    const minFreeBytes = 3 * mebibyte;
    await using fixture = await FsStoreFixture.create({ minFreeBytes }, await SmallDisk.mount(8 * mebibyte));
    await keep(fixture, ...old);
    assert.equal(await fixture.store.content.makeRoom(2 * mebibyte), 'enough');
    assert.ok(((await fixture.store.diskFreeBytes()) ?? 0) >= 5 * mebibyte);
  });

  it('that fills up in the middle of a write evicts for it, and the write is made after all', async () => {
    const disk = await SmallDisk.mount(12 * mebibyte);
    await using fixture = await FsStoreFixture.create({}, disk);
    await keep(fixture, ...old);
    assert.equal(await fixture.store.content.makeRoom(large.bytes.byteLength, large.digest), 'enough');
    await disk.fill(5 * mebibyte);
    const partial = await fixture.store.content.openPartial(large.digest);
    for (let offset = 0; offset < large.bytes.byteLength; offset += pieceBytes) {
      await partial.write(large.bytes.subarray(offset, offset + pieceBytes), offset);
    }
    // Nothing but the refused write has looked at the disk since there was room.
    assert.equal(fixture.evictions.length, 1);
    await partial.commit(large.bytes.byteLength);
    await partial.close();
    assert.equal(await isStored(fixture, large), true);
    await fixture.probeUntil(() => fixture.store.health().length === 0);
  });

  it('fails a fill with STORAGE_FULL where nothing may leave for it; that is said, and over when there is room', async () => {
    const disk = await SmallDisk.mount(8 * mebibyte);
    await using fixture = await FsStoreFixture.create({}, disk);
    await keep(fixture, old[0]);
    const reader = await fixture.store.content.open(old[0].digest);
    await disk.fill(4 * mebibyte);
    await assert.rejects(fill(fixture, large), (error: { code?: unknown; message: string }) => {
      assert.equal(error.code, 'STORAGE_FULL');
      assert.doesNotMatch(error.message, /\//, 'no path goes to a client');
      return true;
    });
    reader?.close();
    assert.match(fixture.store.health().join(), /the disk is full/);
    assert.equal(fixture.notices.filter(({ message }) => message.startsWith('the disk is full')).length, 1);
    await disk.empty();
    await fixture.probeUntil(() => fixture.store.health().length === 0);
    await fill(fixture, large);
    assert.equal(await isStored(fixture, large), true);
    assert.deepEqual((await readdir(fixture.layout.ingest)).sort(), []);
  });

  it('serves all that it has and takes what the catalog cannot be told: no pull fails of it', async () => {
    const disk = await SmallDisk.mount(8 * mebibyte);
    await using fixture = await FsStoreFixture.create({}, disk);
    const { catalog } = fixture.store;
    await keep(fixture, ...old);
    const readers = await Promise.all(old.map(({ digest }) => fixture.store.content.open(digest)));
    await disk.fillToTheBrim();
    const manifests = Array.from({ length: 400 }, (_, seed) => sampleManifest([sampleBlob(seed + 100, 10)]));
    for (const manifest of manifests) {
      catalog.addManifest(manifest);
      catalog.link(scope, [{ ...manifest, mediaType: manifest.mediaType }]);
      catalog.setTag(scope, manifest.digest.slice(7, 20), 'any', { digest: manifest.digest, checkedAtMs: 1 });
    }
    assert.match(fixture.store.health().join(), /the catalog cannot be used/, 'the disk was not full enough');
    for (const manifest of manifests) {
      assert.equal(catalog.linked(scope, manifest.digest)?.sizeBytes, manifest.sizeBytes);
      assert.equal(catalog.tag(scope, manifest.digest.slice(7, 20), 'any')?.digest, manifest.digest);
    }
    for (const blob of old) assert.equal(await isStored(fixture, blob), true);
    for (const reader of readers) reader?.close();
    await disk.empty();
    await fixture.probeUntil(() => fixture.store.health().length === 0);
    const reopened = await fixture.reopen();
    for (const manifest of manifests) {
      assert.equal(reopened.catalog.linked(scope, manifest.digest)?.sizeBytes, manifest.sizeBytes);
    }
  });

  it('lets content leave although the catalog cannot be told of it', async () => {
    const disk = await SmallDisk.mount(8 * mebibyte);
    await using fixture = await FsStoreFixture.create({}, disk);
    await keep(fixture, ...old);
    await disk.fillToTheBrim();
    // Makes the catalog's trouble stand before anything leaves.
    for (let seed = 0; fixture.store.health().length === 0; seed++) {
      assert.ok(seed < 2000, 'the disk was not full enough');
      fixture.store.catalog.addManifest(sampleManifest([sampleBlob(seed, 10)]));
    }
    fixture.clock.advance(1000);
    assert.equal(await fixture.store.content.makeRoom(mebibyte), 'enough');
    assert.equal(await isStored(fixture, old[0]), false);
    await fixture.probeUntil(() => fixture.store.health().length === 0);
    assert.equal(fixture.store.stats().blobs, 1);
  });
});

describe('a disk that fails while it is in use', { skip: await cannotFail() }, () => {
  it('goes on serving what it has; what it does not take is one clear failure', async () => {
    const disk = await FailingDisk.make(24 * mebibyte);
    await using fixture = await FsStoreFixture.create({}, disk);
    const { content, catalog } = fixture.store;
    await keep(fixture, ...old);
    const running = await content.openPartial(large.digest);
    await running.write(large.bytes.subarray(0, pieceBytes), 0);
    await disk.fail();
    const failure = { code: 'STORAGE_FAILED', message: /^cannot [a-z ]+: read-only file system$/ };
    await assert.rejects(running.write(large.bytes.subarray(0, pieceBytes), pieceBytes), failure);
    await running.record([{ start: 0, end: pieceBytes }], large.bytes.byteLength);
    await running.close();
    await assert.rejects(content.put(large.digest, large.bytes), failure);
    for (const blob of old) assert.equal(await isStored(fixture, blob), true);
    catalog.link(scope, [{ digest: old[0].digest, sizeBytes: 5, mediaType: undefined }]);
    assert.equal(catalog.linked(scope, old[0].digest)?.sizeBytes, 5);
    const reasons = fixture.store.health().join('; ');
    assert.match(reasons, /the disk fails: read-only file system/);
    assert.match(reasons, /the catalog cannot be used/);
    assert.equal(fixture.notices.filter(({ message }) => message.startsWith('the disk fails')).length, 1);
  });

  it('loses nothing to an eviction that it does not let happen', async () => {
    const disk = await FailingDisk.make(24 * mebibyte);
    await using fixture = await FsStoreFixture.create({ maxSizeBytes: 5 * mebibyte }, disk);
    await keep(fixture, ...old);
    const { catalog, content } = fixture.store;
    const links = old.map(({ digest, bytes }) => ({ digest, sizeBytes: bytes.byteLength, mediaType: undefined }));
    catalog.link(scope, links, 'confirmed');
    await disk.fail();
    assert.equal(await content.makeRoom(4 * mebibyte), 'disk-failed');
    for (const blob of old) assert.equal(await isStored(fixture, blob), true);
    const evictionsTried = fixture.notices.filter(({ message }) => message === 'eviction failed');
    assert.equal(evictionsTried.length, 1, 'it ends with the first file that stays');
  });

  it('never serves what is damaged on it, though it cannot be put away', async () => {
    const disk = await FailingDisk.make(24 * mebibyte);
    await using fixture = await FsStoreFixture.create({}, disk);
    const { content } = fixture.store;
    await keep(fixture, old[0]);
    const file = await open(fixture.layout.blob(old[0].digest), 'r+');
    await file.write(Buffer.from('damage'), 0, 6, 1000);
    await file.close();
    await disk.fail();
    const opened = await content.open(old[0].digest);
    await assert.rejects(opened?.proof ?? Promise.resolve(), { code: 'STORAGE_FAILED' });
    opened?.close();
    assert.equal(await content.open(old[0].digest), undefined);
    assert.equal(await content.sizeOf(old[0].digest), undefined);
    assert.equal(await content.read(old[0].digest, 1e9), undefined);
    assert.equal(fixture.quarantined.length, 1);
  });
});

describe('other failures of the system', () => {
  it('a removed data directory fails what needs it, clearly, and leaves what is open alone', async () => {
    await using fixture = await FsStoreFixture.create();
    const { content, catalog } = fixture.store;
    await keep(fixture, old[0]);
    const reader = await content.open(old[0].digest);
    const running = await content.openPartial(large.digest);
    await rm(fixture.layout.root, { recursive: true });
    assert.ok(reader);
    assert.equal((await content.open(old[0].digest))?.close(), undefined);
    reader.close();
    await running.write(large.bytes, 0);
    await running.record([{ start: 0, end: large.bytes.byteLength }], large.bytes.byteLength);
    await assert.rejects(running.commit(large.bytes.byteLength), { code: 'STORAGE_FAILED' });
    await running.close();
    assert.equal(await content.open(old[0].digest), undefined);
    await assert.rejects(content.openPartial(old[1].digest), { code: 'STORAGE_FAILED' });
    catalog.link(scope, [{ digest: large.digest, sizeBytes: 1, mediaType: undefined }]);
    assert.equal(catalog.linked(scope, large.digest)?.sizeBytes, 1);
    assert.notEqual(fixture.store.health().length, 0);
  });

  it('a process without a descriptor left is overloaded for a second, and no file is blamed', async () => {
    const error = Object.assign(new Error('EMFILE: too many open files, open /secret/path'), { code: 'EMFILE' });
    const failure = storageError(error, 'open content');
    assert.equal(failure.code, 'OVERLOADED');
    assert.equal(failure.retryAfterMs, 1000);
    assert.doesNotMatch(failure.message, /secret/);
  });

  it('index.json that cannot be written is said once, and written when it can be', async () => {
    await using fixture = await FsStoreFixture.create();
    const manifest = sampleManifest([old[0]]);
    await rm(fixture.layout.ingest, { recursive: true });
    await writeFile(fixture.layout.ingest, 'in the way');
    const links = [{ digest: manifest.digest, sizeBytes: 1, mediaType: manifest.mediaType }];
    fixture.store.catalog.addManifest(manifest);
    fixture.store.catalog.link(scope, links);
    await fixture.probeUntil(() => fixture.store.health().length > 0);
    assert.match(fixture.store.health().join(), /^index.json cannot be written/);
    await rm(fixture.layout.ingest);
    await mkdir(fixture.layout.ingest);
    await fixture.probeUntil(() => fixture.store.health().length === 0);
    assert.ok((await stat(fixture.layout.index)).size > 100);
    assert.equal(fixture.notices.filter(({ message }) => message.includes('index.json')).length, 2);
  });
});
