import assert from 'node:assert/strict';
import { readSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type Digest, digestOf } from '../../core/digest.ts';
import { ociIndex } from '../../core/media-types.ts';
import { parseReference, type Reference } from '../../core/reference.ts';
import type { Scope } from '../../core/scope.ts';
import type { ImageOrder, ImageRecord, PurgedImage } from '../images.ts';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob, sampleManifest, sampleScope } from '../testing/sample-content.ts';

const alpine = sampleScope('library/alpine');
const busybox = sampleScope('library/busybox');
const never = new AbortController().signal;

type Blob = ReturnType<typeof sampleBlob>;

/** Pulls an image as the pull layer would; the clock moves on. */
async function pull(fixture: FsStoreFixture, scope: Scope, tag: string | undefined, blobs: readonly Blob[]) {
  const { content, catalog } = fixture.store;
  const manifest = sampleManifest(blobs);
  await content.put(manifest.digest, manifest.bytes);
  catalog.addManifest(manifest);
  catalog.link(scope, [linkOf(manifest)], 'confirmed');
  catalog.link(scope, blobs.map(linkOf));
  if (tag !== undefined) catalog.setTag(scope, tag, 'any', { digest: manifest.digest, checkedAtMs: 1 });
  for (const { digest, bytes } of blobs) await content.put(digest, bytes);
  fixture.clock.advance(60_000);
  return manifest;
}

function linkOf({ digest, bytes }: Blob) {
  return { digest, sizeBytes: bytes.byteLength, mediaType: 'application/octet-stream' };
}

async function pullIndex(fixture: FsStoreFixture, scope: Scope, tag: string, children: readonly Digest[]) {
  const { content, catalog } = fixture.store;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: children }));
  const digest = digestOf(bytes);
  await content.put(digest, bytes);
  catalog.addManifest({ digest, mediaType: ociIndex, sizeBytes: bytes.length, references: children });
  catalog.link(scope, [{ digest, sizeBytes: bytes.length, mediaType: ociIndex }], 'confirmed');
  catalog.setTag(scope, tag, 'any', { digest, checkedAtMs: 1 });
  return { digest, bytes };
}

function at(text: string): Reference {
  const reference = parseReference(text);
  assert.ok(reference);
  return reference;
}

async function isStored({ store }: FsStoreFixture, { digest }: { digest: Digest }): Promise<boolean> {
  return (await store.content.sizeOf(digest)) !== undefined;
}

async function listed({ store }: FsStoreFixture, order: ImageOrder = 'name', search?: string): Promise<ImageRecord[]> {
  const images: ImageRecord[] = [];
  for (let after: string | undefined; ; ) {
    const page = await store.images.list({ order, search, limit: 2, after }, never);
    images.push(...page.images);
    if (search === undefined) assert.equal(page.total, store.images.count());
    after = page.next;
    if (after === undefined) return images;
  }
}

async function names(fixture: FsStoreFixture, order?: ImageOrder, search?: string): Promise<string[]> {
  return (await listed(fixture, order, search)).map(({ name }) => name.replace('docker.io/library/', ''));
}

function purged(result: PurgedImage | undefined): Digest[] {
  return (result?.blobs ?? []).map(({ digest }) => digest).sort();
}

describe('the list of images', () => {
  it('has each tag once, and what only its digest names, in any order, page by page', async () => {
    await using fixture = await FsStoreFixture.create();
    const base = sampleBlob(1, 1000);
    await pull(fixture, alpine, '3.20', [base, sampleBlob(2, 5000)]);
    const second = await pull(fixture, busybox, 'latest', [base, sampleBlob(3, 100)]);
    fixture.store.catalog.setTag(busybox, 'latest', 'other', { digest: second.digest, checkedAtMs: 1 });
    const untagged = await pull(fixture, alpine, undefined, [base, sampleBlob(4, 9000)]);
    const bare = `alpine@${untagged.digest}`;
    assert.deepEqual(await names(fixture, 'name'), ['alpine:3.20', bare, 'busybox:latest']);
    assert.deepEqual(await names(fixture, 'size'), [bare, 'alpine:3.20', 'busybox:latest']);
    assert.deepEqual(await names(fixture, 'age'), ['alpine:3.20', 'busybox:latest', bare]);
    assert.deepEqual(await names(fixture, 'used'), [bare, 'busybox:latest', 'alpine:3.20']);
    assert.deepEqual(await names(fixture, 'used', 'BUSY'), ['busybox:latest']);
    assert.deepEqual(await names(fixture, 'name', 'no such image'), []);
  });

  it('says what an image amounts to, how much of that is here, since when, and when it was used', async () => {
    await using fixture = await FsStoreFixture.create();
    const beganAtMs = fixture.clock.now();
    const [stored, lazy] = [sampleBlob(1, 1000), sampleBlob(2, 5000)];
    const child = await pull(fixture, alpine, undefined, [stored]);
    fixture.store.catalog.link(alpine, [linkOf(lazy)]);
    const missing = sampleManifest([lazy]);
    const index = await pullIndex(fixture, alpine, 'latest', [child.digest, missing.digest, lazy.digest]);
    (await fixture.store.content.open(stored.digest))?.close();
    await fixture.store.content.makeRoom(1);
    const [image] = await listed(fixture);
    const storedBytes = index.bytes.length + child.sizeBytes + 1000;
    assert.deepEqual(image, {
      name: 'docker.io/library/alpine:latest',
      scope: alpine,
      manifest: index.digest,
      mediaType: ociIndex,
      sizeBytes: storedBytes + 5000,
      storedBytes,
      lastUsedAtMs: image?.lastUsedAtMs,
      cachedAtMs: beganAtMs + 60_000,
      isPinned: false,
    });
    assert.deepEqual(await names(fixture), ['alpine:latest'], 'what an index lists is a part of it');
  });

  it('goes on where a page ended, though images come and leave meanwhile', async () => {
    await using fixture = await FsStoreFixture.create();
    for (let n = 0; n < 6; n++) await pull(fixture, alpine, `v${n}`, [sampleBlob(n, 100)]);
    const query = { order: 'name', search: undefined, limit: 2 } as const;
    const first = await fixture.store.images.list({ ...query, after: undefined }, never);
    await fixture.store.images.purge(alpine, at('v1'));
    await pull(fixture, alpine, 'v0-late', [sampleBlob(9, 100)]);
    const second = await fixture.store.images.list({ ...query, after: first.next }, never);
    assert.deepEqual(
      second.images.map(({ name }) => name.slice(-2)),
      ['v2', 'v3'],
    );
    await assert.rejects(fixture.store.images.list({ ...query, order: 'size', after: first.next }, never), {
      code: 'REQUEST_MALFORMED',
    });
    await assert.rejects(fixture.store.images.list({ ...query, after: 'nonsense' }, never), {
      code: 'REQUEST_MALFORMED',
    });
  });

  it('pages through images that came in one and the same moment', async () => {
    await using fixture = await FsStoreFixture.create();
    const { catalog } = fixture.store;
    const manifest = sampleManifest([sampleBlob(1, 100)]);
    catalog.addManifest(manifest);
    catalog.link(alpine, [linkOf(manifest)]);
    for (let n = 0; n < 9; n++) catalog.setTag(alpine, `v${n}`, 'any', { digest: manifest.digest, checkedAtMs: 1 });
    for (const order of ['used', 'age', 'size', 'name'] as const) {
      assert.equal(new Set(await names(fixture, order)).size, 9, order);
    }
  });
});

describe('a purge', () => {
  it('takes the tag and what only it has, with its files, and leaves what another image shares', async () => {
    await using fixture = await FsStoreFixture.create();
    const base = sampleBlob(1, 1000);
    const own = sampleBlob(2, 5000);
    const gone = await pull(fixture, alpine, 'one', [base, own]);
    const kept = await pull(fixture, alpine, 'two', [base, sampleBlob(3, 100)]);
    const { catalog, images } = fixture.store;
    const before = fixture.changes.value;
    const result = await images.purge(alpine, at('one'));
    assert.deepEqual(result?.names, ['docker.io/library/alpine:one']);
    assert.deepEqual(purged(result), [gone.digest, own.digest].sort());
    assert.notEqual(fixture.changes.value, before);
    for (const blob of [gone, own]) {
      assert.equal(await isStored(fixture, blob), false);
      assert.equal(catalog.linked(alpine, blob.digest), undefined);
    }
    assert.equal(catalog.tag(alpine, 'one', 'any'), undefined);
    for (const blob of [base, kept]) assert.equal(await isStored(fixture, blob), true);
    assert.notEqual(catalog.linked(alpine, base.digest), undefined);
    assert.equal((await readdir(fixture.layout.blobFolder('sha256'))).length, 3);
    assert.equal(await images.purge(alpine, at('one')), undefined);
  });

  it('of a tag leaves a manifest that another tag, or another repository, has', async () => {
    await using fixture = await FsStoreFixture.create();
    const blobs = [sampleBlob(1, 1000)];
    const manifest = await pull(fixture, alpine, 'one', blobs);
    await pull(fixture, alpine, 'same', blobs);
    await pull(fixture, busybox, 'one', blobs);
    const { catalog, images } = fixture.store;
    assert.deepEqual(purged(await images.purge(alpine, at('one'))), []);
    assert.notEqual(catalog.linked(alpine, manifest.digest), undefined);
    assert.deepEqual(purged(await images.purge(alpine, at('same'))), []);
    assert.equal(catalog.linked(alpine, manifest.digest), undefined, 'the repository has it no more');
    assert.equal(catalog.linked(alpine, sampleBlob(1, 1000).digest), undefined);
    assert.notEqual(catalog.linked(busybox, manifest.digest), undefined);
    assert.equal(await isStored(fixture, manifest), true);
    assert.equal((await images.purge(busybox, at('one')))?.blobs.length, 2);
  });

  it('by a digest takes all its tags', async () => {
    await using fixture = await FsStoreFixture.create();
    const manifest = await pull(fixture, alpine, 'one', [sampleBlob(1, 1000)]);
    await pull(fixture, alpine, 'same', [sampleBlob(1, 1000)]);
    const result = await fixture.store.images.purge(alpine, at(manifest.digest));
    assert.deepEqual(result?.names.toSorted(), ['docker.io/library/alpine:one', 'docker.io/library/alpine:same']);
    assert.equal(result?.blobs.length, 2);
  });

  it('of an index takes what its platforms have, but not one that another repository has by itself', async () => {
    await using fixture = await FsStoreFixture.create();
    const [amd64, arm64] = [
      await pull(fixture, alpine, undefined, [sampleBlob(1, 100)]),
      await pull(fixture, alpine, undefined, [sampleBlob(2, 100)]),
    ];
    await pull(fixture, busybox, undefined, [sampleBlob(2, 100)]);
    const index = await pullIndex(fixture, alpine, 'latest', [amd64.digest, arm64.digest]);
    await assert.rejects(fixture.store.images.purge(alpine, at(amd64.digest)), {
      code: 'IMAGE_KEPT',
      message: 'the image is kept: it is a part of docker.io/library/alpine:latest: purge that',
    });
    const result = await fixture.store.images.purge(alpine, at('latest'));
    assert.deepEqual(purged(result), [index.digest, amd64.digest, sampleBlob(1, 100).digest].sort());
    assert.deepEqual(await names(fixture), [`busybox@${arm64.digest}`]);
    assert.equal(fixture.store.catalog.linked(alpine, arm64.digest), undefined);
  });

  it('lets who reads read to the end, while who comes later finds a miss', async () => {
    await using fixture = await FsStoreFixture.create();
    const layer = sampleBlob(1, 1000);
    await pull(fixture, alpine, 'one', [layer]);
    const reader = await fixture.store.content.open(layer.digest);
    assert.ok(reader);
    const result = await fixture.store.images.purge(alpine, at('one'));
    assert.deepEqual(
      result?.blobs.find(({ digest }) => digest === layer.digest),
      { digest: layer.digest, sizeBytes: 1000, isInUse: true },
    );
    assert.equal(await fixture.store.content.open(layer.digest), undefined);
    const bytes = Buffer.alloc(1000);
    assert.equal(readSync(reader.fd, bytes, 0, 1000, 0), 1000);
    assert.deepEqual(bytes, Buffer.from(layer.bytes));
    reader.close();
    assert.equal(fixture.store.stats().sizeBytes, 0);
  });

  it('leaves a fill to end, and then takes what it brought, unless somebody has a name for it again', async () => {
    await using fixture = await FsStoreFixture.create();
    const [layer, wanted] = [sampleBlob(1, 1000), sampleBlob(2, 1000)];
    const { catalog, content, images } = fixture.store;
    const manifest = sampleManifest([layer, wanted]);
    await content.put(manifest.digest, manifest.bytes);
    catalog.addManifest(manifest);
    catalog.link(alpine, [manifest, layer, wanted].map(linkOf));
    catalog.setTag(alpine, 'one', 'any', { digest: manifest.digest, checkedAtMs: 1 });
    const fills = [await content.openPartial(layer.digest), await content.openPartial(wanted.digest)];
    const result = await images.purge(alpine, at('one'));
    assert.equal(result?.blobs.filter(({ isInUse }) => isInUse).length, 2);
    fixture.clock.advance(5000);
    for (const [n, fill] of fills.entries()) {
      await fill.write([layer, wanted][n]?.bytes ?? new Uint8Array(), 0);
      await fill.commit(1000);
      await fill.close();
    }
    assert.equal(await isStored(fixture, layer), true);
    catalog.link(busybox, [linkOf(wanted)], 'confirmed');
    fixture.clock.advance(1000);
    assert.equal(await isStored(fixture, layer), false);
    assert.equal(await isStored(fixture, wanted), true);
  });

  it('content that comes back while its file is being removed is there', async () => {
    await using fixture = await FsStoreFixture.create();
    const layer = sampleBlob(1, 1000);
    await pull(fixture, alpine, 'one', [layer]);
    const purging = fixture.store.images.purge(alpine, at('one'));
    const stored = fixture.store.content.put(layer.digest, layer.bytes);
    await Promise.all([purging, stored]);
    assert.deepEqual(await fixture.store.content.read(layer.digest, 1e6), layer.bytes);
  });
});

describe('a pin', () => {
  const maxSizeBytes = 100_000;

  it('keeps an image whole, whatever has to leave', async () => {
    await using fixture = await FsStoreFixture.create({ maxSizeBytes });
    const blobs = [sampleBlob(1, 20_000), sampleBlob(2, 20_000)];
    const pinned = await pull(fixture, alpine, 'pinned', blobs);
    assert.equal(fixture.store.images.setPinned(alpine, at('pinned'), true), true);
    for (let n = 3; n < 12; n++) await pull(fixture, busybox, `v${n}`, [sampleBlob(n, 20_000)]);
    await fixture.store.content.makeRoom(50_000);
    for (const blob of [pinned, ...blobs]) assert.equal(await isStored(fixture, blob), true);
    assert.deepEqual(await names(fixture, 'name', 'alpine'), ['alpine:pinned']);
    assert.equal((await listed(fixture, 'name', 'alpine'))[0]?.isPinned, true);
    fixture.store.images.setPinned(alpine, at('pinned'), false);
    await fixture.store.content.makeRoom(99_000);
    assert.equal(await isStored(fixture, pinned), false);
  });

  it('of an image that is not here is refused', async () => {
    await using fixture = await FsStoreFixture.create();
    assert.equal(fixture.store.images.setPinned(alpine, at('nothing'), true), false);
    await pull(fixture, alpine, 'one', [sampleBlob(1, 10)]);
    assert.equal(fixture.store.images.setPinned(alpine, at('other'), true), false);
  });

  it('of a tag follows it to another manifest, and stays with the last one when the tag goes', async () => {
    await using fixture = await FsStoreFixture.create({ maxSizeBytes });
    const { catalog, content, images } = fixture.store;
    const first = await pull(fixture, alpine, 'one', [sampleBlob(1, 10_000)]);
    images.setPinned(alpine, at('one'), true);
    const second = await pull(fixture, alpine, 'one', [sampleBlob(2, 10_000)]);
    await content.makeRoom(85_000);
    assert.equal(await isStored(fixture, first), false);
    assert.equal(await isStored(fixture, second), true);
    catalog.removeTag(alpine, 'one', 'any');
    await content.makeRoom(85_000);
    assert.equal(await isStored(fixture, second), true);
    const [image] = await listed(fixture);
    assert.deepEqual([image?.name, image?.isPinned], [`docker.io/library/alpine@${second.digest}`, true]);
    images.setPinned(alpine, at(second.digest), false);
    await content.makeRoom(99_000);
    assert.equal(await isStored(fixture, second), false);
  });

  it('keeps the image from being purged', async () => {
    await using fixture = await FsStoreFixture.create();
    const { images } = fixture.store;
    const manifest = await pull(fixture, alpine, 'one', [sampleBlob(1, 10)]);
    await pull(fixture, alpine, 'two', [sampleBlob(1, 10)]);
    images.setPinned(alpine, at('one'), true);
    for (const reference of [at('one'), at(manifest.digest)]) {
      await assert.rejects(images.purge(alpine, reference), {
        code: 'IMAGE_KEPT',
        message: 'the image is kept: docker.io/library/alpine:one is pinned: unpin it first',
      });
    }
    assert.deepEqual(purged(await images.purge(alpine, at('two'))), [], 'another tag of it may go');
    assert.equal(await isStored(fixture, manifest), true);
  });

  it('survives a restart, a lost catalog, and its content being damaged', async () => {
    await using fixture = await FsStoreFixture.create({ maxSizeBytes });
    const blobs = [sampleBlob(1, 10_000)];
    const tagged = await pull(fixture, alpine, 'one', blobs);
    const child = await pull(fixture, busybox, undefined, [sampleBlob(2, 10_000)]);
    await pullIndex(fixture, busybox, 'index', [child.digest]);
    fixture.store.images.setPinned(alpine, at('one'), true);
    fixture.store.images.setPinned(busybox, at(child.digest), true);
    const holds = async () => {
      const other = await pull(fixture, alpine, 'other', [sampleBlob(3, 30_000)]);
      assert.equal(await fixture.store.content.makeRoom(75_000), 'enough');
      assert.equal(await isStored(fixture, other), false);
      assert.notEqual(fixture.store.catalog.linked(busybox, child.digest), undefined);
      for (const digest of [tagged.digest, child.digest, sampleBlob(1, 10_000).digest]) {
        assert.equal(await isStored(fixture, { digest }), true);
      }
    };
    await fixture.reopen();
    await holds();
    await fixture.reopen(async ({ catalog }) => {
      for (const suffix of ['', '-wal']) await rm(`${catalog}${suffix}`, { force: true });
    });
    await fixture.store.settled;
    await holds();
    const open = await fixture.store.content.open(tagged.digest);
    assert.ok(open);
    await fixture.store.content.condemn(tagged.digest, open.fd, 'for the test');
    open.close();
    await fixture.store.content.put(tagged.digest, tagged.bytes);
    await holds();
  });

  it('counts all that the image has, once it was looked at', async () => {
    await using fixture = await FsStoreFixture.create({ maxSizeBytes });
    const { images } = fixture.store;
    assert.equal(images.pinnedBytes(), 0);
    const shared = sampleBlob(1, 10_000);
    const manifests = [
      await pull(fixture, alpine, 'one', [shared]),
      await pull(fixture, alpine, 'two', [shared, sampleBlob(2, 500)]),
    ];
    for (const tag of ['one', 'two']) images.setPinned(alpine, at(tag), true);
    const own = manifests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    assert.equal(images.pinnedBytes(), own);
    while (images.pinnedBytes() === own) await setImmediate();
    assert.equal(images.pinnedBytes(), own + 10_500);
    images.setPinned(alpine, at('two'), false);
    assert.equal(images.pinnedBytes(), manifests[0]?.sizeBytes);
  });

  it('of the whole cache makes no room in vain', async () => {
    await using fixture = await FsStoreFixture.create({ maxSizeBytes });
    const { content, images } = fixture.store;
    await pull(fixture, alpine, 'one', [sampleBlob(1, 70_000)]);
    images.setPinned(alpine, at('one'), true);
    const other = await pull(fixture, busybox, 'other', [sampleBlob(2, 10_000)]);
    while (images.pinnedBytes() < 70_000) await setImmediate();
    assert.equal(await content.makeRoom(50_000), 'cache-in-use');
    assert.equal(await isStored(fixture, other), true);
    assert.equal(await content.makeRoom(25_000), 'enough');
  });
});
