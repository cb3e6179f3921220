import assert from 'node:assert/strict';
import { cp, mkdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob, sampleManifest, sampleScope } from '../testing/sample-content.ts';
import { cannotFail, cannotMount, FailingDisk, SmallDisk } from '../testing/small-disk.ts';
import type { FsStore } from './open-fs-store.ts';

const mebibyte = 2 ** 20;
const scope = sampleScope('library/alpine');
const layers = [sampleBlob(1, mebibyte), sampleBlob(2, mebibyte)] as const;
const image = sampleManifest(layers);
const partly = sampleBlob(3, mebibyte);
const written = mebibyte / 2;

/** A store that knows an image by a tag, and half of a blob. */
async function keepImage({ store }: FsStoreFixture): Promise<void> {
  const { content, catalog } = store;
  for (const { digest, bytes } of [...layers, image]) await content.put(digest, bytes);
  catalog.addManifest(image);
  const links = layers.map(({ digest, bytes }) => ({ digest, sizeBytes: bytes.byteLength, mediaType: undefined }));
  catalog.link(scope, [...links, { ...image }]);
  catalog.setTag(scope, 'v1', 'any', { digest: image.digest, checkedAtMs: 1 });
  const partial = await content.openPartial(partly.digest);
  await partial.write(partly.bytes.subarray(0, written), 0);
  await partial.record([{ start: 0, end: written }], mebibyte);
  await partial.close();
}

async function assertImage({ content, catalog }: FsStore): Promise<void> {
  assert.equal(catalog.tag(scope, 'v1', 'any')?.digest, image.digest);
  assert.deepEqual(catalog.manifest(image.digest)?.references, image.references);
  for (const { digest, bytes } of [...layers, image]) {
    assert.ok(catalog.linked(scope, digest));
    const stored = await content.open(digest);
    assert.equal(stored?.sizeBytes, bytes.byteLength);
    await stored?.proof;
    stored?.close();
    assert.deepEqual(await content.read(digest, 1e9), Uint8Array.from(bytes));
  }
}

/** What the store is told on a full disk is known at once, and no fill is begun for which there is no room. */
async function assertOfUse(fixture: FsStoreFixture): Promise<void> {
  const { content, catalog } = fixture.store;
  assert.notEqual(await content.makeRoom(20 * mebibyte, sampleBlob(4, 1).digest), 'enough');
  const others = Array.from({ length: 400 }, (_, seed) => sampleManifest([sampleBlob(seed + 100, 10)]));
  for (const other of others) {
    catalog.addManifest(other);
    catalog.link(scope, [{ ...other }]);
  }
  for (const other of others) assert.ok(catalog.linked(scope, other.digest));
}

async function assertLeft({ store }: FsStoreFixture): Promise<void> {
  const partial = await store.content.openPartial(partly.digest);
  assert.deepEqual(partial.resumed.filled, [{ start: 0, end: written }]);
  await partial.close();
}

async function removeCatalog({ layout }: FsStoreFixture): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(`${layout.catalog}${suffix}`, { force: true });
}

/** As a process leaves it that was killed before it had taken over what index.json says. */
async function forgetIndex({ layout }: FsStoreFixture): Promise<void> {
  const { DatabaseSync } = await import('node:sqlite');
  using database = new DatabaseSync(layout.catalog);
  database.exec("DELETE FROM state WHERE name = 'restored'; DELETE FROM link; DELETE FROM tag; DELETE FROM manifest");
}

const inMemory = /^the catalog is in memory until the next start: database or disk is full$/;

describe('a start on a disk that is full', { skip: await cannotMount() }, () => {
  it('serves and knows all that it had, goes on with left fills, and loses nothing that it is told', async () => {
    const disk = await SmallDisk.mount(16 * mebibyte);
    await using fixture = await FsStoreFixture.create({}, disk);
    await keepImage(fixture);
    await fixture.reopen(() => disk.fillToTheBrim());
    await fixture.store.settled;
    await assertImage(fixture.store);
    await assertLeft(fixture);
    await assertOfUse(fixture);
    assert.match(fixture.store.health().join(), /the catalog cannot be used/, 'the disk was not full enough');
    await fixture.reopen();
    await assertImage(fixture.store);
    await disk.empty();
    await assertOfUse(fixture);
    await fixture.probeUntil(() => fixture.store.health().length === 0);
    const { catalog } = await fixture.reopen();
    await assertImage(fixture.store);
    assert.equal(catalog.repositories(undefined, 10).length, 1);
    assert.ok(catalog.linked(scope, sampleManifest([sampleBlob(100, 10)]).digest));
  });

  it('after a kill is the same', async () => {
    await using killed = await FsStoreFixture.create();
    await keepImage(killed);
    const disk = await SmallDisk.mount(16 * mebibyte);
    await cp(killed.layout.root, disk.path, { recursive: true });
    assert.ok((await stat(`${killed.layout.catalog}-wal`)).size > 0, 'the catalog was closed in order');
    await disk.fillToTheBrim();
    await using fixture = await FsStoreFixture.create({}, disk);
    await fixture.store.settled;
    await assertImage(fixture.store);
    await assertLeft(fixture);
    await assertOfUse(fixture);
  });

  it('keeps free what it is to keep free, at the price of left fills and of what was not used for longest', async () => {
    const minFreeBytes = mebibyte;
    const disk = await SmallDisk.mount(16 * mebibyte);
    await using fixture = await FsStoreFixture.create({ minFreeBytes }, disk);
    await keepImage(fixture);
    fixture.clock.advance(1000);
    const used = sampleBlob(5, mebibyte);
    await fixture.store.content.put(used.digest, used.bytes);
    await fixture.reopen(() => disk.fillToTheBrim());
    await fixture.store.settled;
    assert.ok(((await fixture.store.diskFreeBytes()) ?? 0) >= minFreeBytes);
    assert.equal(fixture.store.stats().leftoverPartials, 0);
    assert.equal(await fixture.store.content.sizeOf(image.digest), undefined);
    assert.deepEqual(await fixture.store.content.read(used.digest, 1e9), used.bytes);
  });

  for (const [how, lose] of [
    ['is gone', removeCatalog],
    ['is damaged', ({ layout }: FsStoreFixture) => writeFile(layout.catalog, 'x'.repeat(100))],
    ['was never told what index.json says', forgetIndex],
  ] as const) {
    it(`and whose catalog ${how} keeps one in memory, says so, and has one again after the next start`, async () => {
      const disk = await SmallDisk.mount(16 * mebibyte);
      await using fixture = await FsStoreFixture.create({}, disk);
      await keepImage(fixture);
      await fixture.reopen(async () => {
        await lose(fixture);
        await disk.fillToTheBrim();
      });
      await fixture.store.settled;
      await assertImage(fixture.store);
      await assertLeft(fixture);
      await assertOfUse(fixture);
      assert.ok(
        fixture.store.health().some((reason) => inMemory.test(reason)),
        fixture.store.health().join('; '),
      );
      assert.ok(fixture.notices.some(({ message }) => inMemory.test(message)));
      await disk.empty();
      await fixture.probeUntil(() => fixture.store.health().length === 1);
      await fixture.reopen();
      await fixture.store.settled;
      assert.deepEqual(fixture.store.health(), []);
      await assertImage(fixture.store);
      await fixture.reopen();
      await assertImage(fixture.store);
    });
  }

  it('and has nothing yet is of use all the same where its folders can be made', async () => {
    const disk = await SmallDisk.mount(mebibyte);
    await disk.fillToTheBrim();
    await using fixture = await FsStoreFixture.create({}, disk);
    assert.equal(await fixture.store.content.sizeOf(image.digest), undefined);
    await assertOfUse(fixture);
  });
});

describe('a start on a full disk that takes small files yet', { skip: await cannotFail() }, () => {
  it('leaves index.json alone when the catalog has no room for what it says', async () => {
    const disk = await FailingDisk.make(24 * mebibyte);
    await using fixture = await FsStoreFixture.create({}, disk);
    await keepImage(fixture);
    await fixture.reopen(async () => {
      await forgetIndex(fixture);
      await disk.fillToTheBrim();
      // What SQLite needs is more.
      await truncate(join(disk.path, 'ballast'), (await stat(join(disk.path, 'ballast'))).size - 8192);
    });
    await assertImage(fixture.store);
    assert.ok(
      fixture.store.health().some((reason) => inMemory.test(reason)),
      fixture.store.health().join('; '),
    );
  });
});

describe('a start on a disk that can only be read', { skip: await cannotMount() }, () => {
  it('is refused in one line that says what to do', async () => {
    const disk = await SmallDisk.mount(16 * mebibyte);
    await using fixture = await FsStoreFixture.create({}, disk);
    await keepImage(fixture);
    await fixture.close();
    await disk.makeReadOnly();
    const message =
      `cannot use the data directory ${disk.path}: read-only file system; ` +
      'mount its file system for writing, or set storage.path to a directory on another one';
    await assert.rejects(fixture.open(), { code: 'STORAGE_FAILED', message });
  });

  it('so is one on a full disk without room for the folders', async () => {
    const disk = await SmallDisk.mount(mebibyte, { inodes: 2 });
    await mkdir(`${disk.path}/blobs`);
    const message = new RegExp(`^cannot use the data directory ${disk.path}: no space left on device; make some room`);
    await assert.rejects(FsStoreFixture.create({}, disk), { code: 'STORAGE_FULL', message });
    await disk[Symbol.asyncDispose]();
  });
});
