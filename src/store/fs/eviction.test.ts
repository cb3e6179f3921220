import assert from 'node:assert/strict';
import { readdir, utimes } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { Scope } from '../../core/scope.ts';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob, sampleManifest, sampleScope } from '../testing/sample-content.ts';

const maxSizeBytes = 100_000;
const alpine = sampleScope('library/alpine');
const busybox = sampleScope('library/busybox');

type Blob = ReturnType<typeof sampleBlob>;

async function fixtureOf(): Promise<FsStoreFixture> {
  return FsStoreFixture.create({ maxSizeBytes });
}

/** Pulls an image as the pull layer would; the clock moves on. */
async function pull(fixture: FsStoreFixture, scope: Scope, tag: string, blobs: readonly Blob[]) {
  const { content, catalog } = fixture.store;
  const manifest = sampleManifest(blobs);
  await content.put(manifest.digest, manifest.bytes);
  catalog.addManifest(manifest);
  const links = [manifest, ...blobs].map(({ digest }) => ({ digest, sizeBytes: undefined, mediaType: undefined }));
  catalog.link(scope, links);
  catalog.setTag(scope, tag, 'any', { digest: manifest.digest, checkedAtMs: fixture.clock.now() });
  for (const { digest, bytes } of blobs) await content.put(digest, bytes);
  fixture.clock.advance(60_000);
  return manifest;
}

async function isStored({ store }: FsStoreFixture, { digest }: Pick<Blob, 'digest'>): Promise<boolean> {
  return (await store.content.sizeOf(digest)) !== undefined;
}

describe('eviction', () => {
  it('the least recently used image leaves whole, with its tag, links and files', async () => {
    await using fixture = await fixtureOf();
    const { content, catalog } = fixture.store;
    const old = [sampleBlob(1, 20_000), sampleBlob(2, 20_000)];
    const recent = [sampleBlob(3, 20_000), sampleBlob(4, 20_000)];
    const oldManifest = await pull(fixture, alpine, 'old', old);
    const recentManifest = await pull(fixture, busybox, 'recent', recent);
    await content.makeRoom(30_000);
    for (const gone of [oldManifest, ...old]) {
      assert.equal(await isStored(fixture, gone), false);
      assert.equal(catalog.linked(alpine, gone.digest), undefined);
    }
    assert.equal(catalog.manifest(oldManifest.digest), undefined);
    assert.equal(catalog.tag(alpine, 'old', 'any'), undefined);
    for (const kept of [recentManifest, ...recent]) assert.equal(await isStored(fixture, kept), true);
    assert.deepEqual(catalog.repositories(undefined, 10), ['docker.io/library/busybox']);
    assert.equal((await readdir(fixture.layout.blobFolder('sha256'))).length, 3);
    assert.deepEqual(fixture.evictions, [
      { blobs: 3, bytes: 40_000 + oldManifest.sizeBytes, sizeAfterBytes: fixture.store.stats().sizeBytes },
    ]);
  });

  it('an image whose layers are in use is recent, though nobody asks for its manifest', async () => {
    await using fixture = await fixtureOf();
    const first = [sampleBlob(1, 40_000)];
    const second = [sampleBlob(2, 40_000)];
    await pull(fixture, alpine, 'first', first);
    await pull(fixture, alpine, 'second', second);
    (await fixture.store.content.open(sampleBlob(1, 40_000).digest))?.close();
    await fixture.store.content.makeRoom(30_000);
    assert.equal(await isStored(fixture, sampleBlob(1, 40_000)), true);
    assert.equal(await isStored(fixture, sampleBlob(2, 40_000)), false);
  });

  it('an image that somebody only looked at is no more recent for it', async () => {
    await using fixture = await fixtureOf();
    const { content } = fixture.store;
    const [first, second] = [[sampleBlob(1, 40_000)], [sampleBlob(2, 40_000)]];
    const manifest = await pull(fixture, alpine, 'first', first);
    await pull(fixture, alpine, 'second', second);
    assert.notEqual(await content.look(manifest.digest, 1e6), undefined);
    await content.makeRoom(30_000);
    assert.equal(await isStored(fixture, manifest), false);
  });

  it('a layer that another image shares stays, and is readable only through that one', async () => {
    await using fixture = await fixtureOf();
    const { catalog, content } = fixture.store;
    const base = sampleBlob(1, 20_000);
    const confirmed = sampleBlob(5, 10);
    const own = sampleBlob(2, 30_000);
    await pull(fixture, alpine, 'one', [base, own, confirmed]);
    await pull(fixture, busybox, 'two', [base, sampleBlob(3, 30_000), confirmed]);
    catalog.link(alpine, [{ digest: confirmed.digest, sizeBytes: 10, mediaType: undefined }], 'confirmed');
    await content.makeRoom(40_000);
    assert.equal(await isStored(fixture, own), false);
    assert.equal(await isStored(fixture, base), true);
    assert.equal(catalog.linked(alpine, base.digest), undefined);
    assert.notEqual(catalog.linked(busybox, base.digest), undefined);
    assert.notEqual(catalog.linked(alpine, confirmed.digest), undefined, 'upstream said so itself');
  });

  it('a link stays while another manifest of the same repository makes it', async () => {
    await using fixture = await fixtureOf();
    const base = sampleBlob(1, 20_000);
    await pull(fixture, alpine, 'one', [base, sampleBlob(2, 30_000)]);
    await pull(fixture, alpine, 'two', [base, sampleBlob(3, 30_000)]);
    await fixture.store.content.makeRoom(40_000);
    assert.equal(await isStored(fixture, sampleBlob(2, 30_000)), false);
    assert.notEqual(fixture.store.catalog.linked(alpine, base.digest), undefined);
  });

  it('links to layers that were never stored leave with their manifest', async () => {
    await using fixture = await fixtureOf();
    const { content, catalog } = fixture.store;
    const lazy = sampleBlob(9, 100);
    const stored = sampleBlob(1, 60_000);
    const manifest = sampleManifest([stored, lazy]);
    await content.put(manifest.digest, manifest.bytes);
    catalog.addManifest(manifest);
    catalog.link(
      alpine,
      [manifest, stored, lazy].map(({ digest }) => ({ digest, sizeBytes: 1, mediaType: 'x/y' })),
    );
    await content.put(stored.digest, stored.bytes);
    await content.makeRoom(60_000);
    assert.equal(catalog.linked(alpine, lazy.digest), undefined);
    assert.equal(fixture.store.stats().sizeBytes, 0);
  });

  it('what is open, being filled or held stays', async () => {
    await using fixture = await fixtureOf();
    const { content } = fixture.store;
    const [open, filled, held] = [1, 2, 3].map((seed) => sampleBlob(seed, 20_000));
    assert.ok(open && filled && held);
    await content.put(open.digest, open.bytes);
    const reader = await content.open(open.digest);
    const partials = [];
    for (const { digest, bytes } of [filled, held]) {
      const partial = await content.openPartial(digest);
      await partial.write(bytes, 0);
      await partial.commit(bytes.byteLength);
      partials.push(partial);
    }
    const release = partials[1]?.hold();
    await partials[1]?.close();
    await content.makeRoom(90_000);
    for (const blob of [open, filled, held]) assert.equal(await isStored(fixture, blob), true);
    reader?.close();
    release?.();
    await partials[0]?.close();
    await content.makeRoom(100_000);
    assert.equal(fixture.store.stats().sizeBytes, 0);
  });

  it('an image with a layer that is read leaves after all others, and that layer goes first when that is over', async () => {
    await using fixture = await fixtureOf();
    const { content } = fixture.store;
    const old = [sampleBlob(1, 20_000), sampleBlob(2, 20_000)] as const;
    const oldManifest = await pull(fixture, alpine, 'old', old);
    await pull(fixture, alpine, 'recent', [sampleBlob(3, 20_000)]);
    const reader = await content.open(old[0].digest);
    fixture.clock.advance(1);
    await content.open(sampleBlob(3, 20_000).digest).then((blob) => blob?.close());
    await content.makeRoom(45_000);
    assert.equal(await isStored(fixture, oldManifest), true);
    assert.equal(await isStored(fixture, sampleBlob(3, 20_000)), false);
    await content.makeRoom(75_000);
    assert.equal(await isStored(fixture, oldManifest), false);
    assert.equal(await isStored(fixture, old[0]), true);
    assert.equal(fixture.store.stats().strayBytes, 20_000, 'nobody can name it, and it is counted');
    reader?.close();
    const later = await pull(fixture, alpine, 'later', [sampleBlob(4, 20_000)]);
    assert.equal(fixture.store.stats().strayBytes, 20_000);
    (await content.open(old[0].digest))?.close();
    fixture.clock.advance(61_000);
    await content.makeRoom(65_000);
    assert.equal(await isStored(fixture, old[0]), false);
    assert.equal(await isStored(fixture, later), true, 'although it was used before that');
    assert.equal(fixture.store.stats().strayBytes, 0);
  });

  it('an image of which a layer is coming stays whole, whatever needs the room', async () => {
    await using fixture = await fixtureOf();
    const { content, catalog } = fixture.store;
    const [here, coming] = [sampleBlob(1, 20_000), sampleBlob(2, 30_000)];
    const manifest = sampleManifest([here, coming]);
    await content.put(manifest.digest, manifest.bytes);
    catalog.addManifest(manifest);
    catalog.link(alpine, [{ digest: manifest.digest, sizeBytes: undefined, mediaType: undefined }]);
    await content.put(here.digest, here.bytes);
    fixture.clock.advance(600_000);
    assert.equal(await content.makeRoom(coming.bytes.byteLength, coming.digest), 'enough');
    assert.equal(await content.makeRoom(60_000), 'cache-in-use', 'its room is promised');
    assert.equal(await isStored(fixture, manifest), true);
    const partial = await content.openPartial(coming.digest);
    await partial.write(coming.bytes, 0);
    assert.equal(await content.makeRoom(60_000), 'cache-in-use', 'it is being filled');
    for (const blob of [manifest, here]) assert.equal(await isStored(fixture, blob), true);
    await partial.commit(coming.bytes.byteLength);
    await partial.close();
    assert.equal(await content.makeRoom(60_000), 'enough');
    assert.equal(fixture.store.stats().sizeBytes, 0, 'it leaves as whole as it came');
  });

  it('an image does not leave for a layer of its own', async () => {
    await using fixture = await fixtureOf();
    const { content, catalog } = fixture.store;
    const [here, coming] = [sampleBlob(1, 60_000), sampleBlob(2, 50_000)];
    const manifest = sampleManifest([here, coming]);
    await content.put(manifest.digest, manifest.bytes);
    catalog.addManifest(manifest);
    await content.put(here.digest, here.bytes);
    assert.equal(await content.makeRoom(coming.bytes.byteLength, coming.digest), 'cache-in-use');
    for (const blob of [manifest, here]) assert.equal(await isStored(fixture, blob), true);
  });

  it('what is kept stays until all who keep it let it go, and an eviction that cannot help takes nothing', async () => {
    await using fixture = await fixtureOf();
    const { content } = fixture.store;
    const blobs = [sampleBlob(1, 40_000)];
    const manifest = await pull(fixture, alpine, 'kept', blobs);
    const other = await pull(fixture, alpine, 'other', [sampleBlob(2, 20_000)]);
    const kept = [manifest, ...blobs].flatMap(({ digest, bytes }) => [
      content.keep(digest, bytes.byteLength),
      content.keep(digest, bytes.byteLength),
    ]);
    assert.equal(await content.makeRoom(70_000), 'cache-in-use');
    assert.equal(await isStored(fixture, other), true, 'it would have left in vain');
    assert.equal(await content.makeRoom(50_000), 'enough');
    assert.equal(await isStored(fixture, other), false);
    for (const [index, letGo] of kept.entries()) if (index % 2 === 0) [letGo(), letGo()];
    assert.equal(await content.makeRoom(70_000), 'cache-in-use');
    for (const letGo of kept) letGo();
    assert.equal(await content.makeRoom(70_000), 'enough');
    assert.equal(fixture.store.stats().sizeBytes, 0);
  });

  it('content that no manifest references leaves before any image, unless it was used a moment ago', async () => {
    await using fixture = await fixtureOf();
    const { content, catalog } = fixture.store;
    const image = await pull(fixture, alpine, 'old', [sampleBlob(1, 30_000)]);
    const stray = sampleBlob(2, 30_000);
    await content.put(stray.digest, stray.bytes);
    assert.equal(fixture.store.stats().strayBytes, 30_000);
    fixture.clock.advance(61_000);
    const recent = sampleBlob(3, 20_000);
    await content.put(recent.digest, recent.bytes);
    await content.makeRoom(30_000);
    assert.deepEqual([await isStored(fixture, stray), await isStored(fixture, image)], [false, true]);
    assert.equal(await isStored(fixture, recent), true, 'its manifest may come this moment');
    catalog.addManifest(sampleManifest([recent]));
    assert.equal(fixture.store.stats().strayBytes, 0);
  });

  it('left partial files leave before committed content, oldest first', async () => {
    await using fixture = await fixtureOf();
    const { content } = fixture.store;
    await content.put(sampleBlob(1, 50_000).digest, sampleBlob(1, 50_000).bytes);
    for (const seed of [2, 3]) {
      const { digest, bytes } = sampleBlob(seed, 20_000);
      const partial = await content.openPartial(digest);
      await partial.write(bytes, 0);
      await partial.record([{ start: 0, end: 20_000 }], 25_000);
      await partial.close();
    }
    // What the end of a fill still sees to keeps its file from leaving.
    const { content: reopened } = await fixture.reopen((layout) =>
      utimes(layout.partialData(sampleBlob(2, 20_000).digest), 1, 1),
    );
    await reopened.makeRoom(15_000);
    assert.equal(fixture.store.stats().leftoverPartials, 1);
    assert.equal(await isStored(fixture, sampleBlob(1, 50_000)), true);
    const resumed = await reopened.openPartial(sampleBlob(3, 20_000).digest);
    assert.equal(resumed.resumed.filled.length, 1);
    await resumed.close();
  });

  it('commits beyond the limit evict, however fast they come', async () => {
    await using fixture = await fixtureOf();
    const { content } = fixture.store;
    await Promise.all(
      Array.from({ length: 40 }, async (_, seed) => {
        const { digest, bytes } = sampleBlob(seed, 10_000);
        const partial = await content.openPartial(digest);
        await partial.write(bytes, 0);
        await partial.commit(bytes.byteLength);
        await partial.close();
      }),
    );
    await content.makeRoom(1);
    assert.ok(fixture.store.stats().sizeBytes <= maxSizeBytes);
    assert.equal((await readdir(fixture.layout.blobFolder('sha256'))).length, fixture.store.stats().blobs);
  });

  it('content that comes back while its old file is being removed is there', async () => {
    await using fixture = await fixtureOf();
    const { content } = fixture.store;
    const { digest, bytes } = sampleBlob(1, 60_000);
    await content.put(digest, bytes);
    const evicted = content.makeRoom(90_000);
    const stored = content.put(digest, bytes);
    const opened = content.open(digest);
    await Promise.all([evicted, stored]);
    const blob = await opened;
    assert.equal(blob?.sizeBytes, 60_000);
    blob?.close();
    assert.deepEqual(await content.read(digest, 1e6), bytes);
  });
});
