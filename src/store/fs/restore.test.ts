import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import { dockerManifest, ociIndex } from '../../core/media-types.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob, sampleManifest, sampleScope } from '../testing/sample-content.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { IndexWriter, indexDelayMs } from './index-writer.ts';
import type { Layout } from './layout.ts';
import { parseIndex } from './layout-index.ts';
import { nodeDisk } from './node-disk.ts';

const alpine = sampleScope('library/alpine');
const mirror = sampleScope('mirror/alpine', 'ghcr.io');
const blobs = [sampleBlob(1, 1000), sampleBlob(2, 2000)];
const image = sampleManifest(blobs);
const index = (() => {
  const child = { mediaType: image.mediaType, digest: image.digest, size: image.sizeBytes };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [child] }));
  const sizeBytes = bytes.byteLength;
  return { digest: digestOf(bytes), bytes, mediaType: ociIndex, sizeBytes, references: [image.digest] };
})();

async function fill({ store }: FsStoreFixture): Promise<void> {
  const { content, catalog } = store;
  for (const { digest, bytes } of [index, image, ...blobs]) await content.put(digest, bytes);
  catalog.addManifest(index);
  catalog.addManifest(image);
  const links = [index, image, ...blobs].map(({ digest }) => ({ digest, sizeBytes: 1, mediaType: 'x/y' }));
  catalog.link(alpine, links);
  catalog.link(mirror, links.slice(1));
  catalog.setTag(alpine, 'latest', 'any', { digest: index.digest, checkedAtMs: 1_700_000_000_000 });
  catalog.setTag(alpine, '3.20', 'image', { digest: image.digest, checkedAtMs: 1_700_000_000_000 });
}

async function loseCatalog({ catalog }: Layout): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(catalog + suffix, { force: true });
}

describe('a lost catalog', () => {
  it('comes back with tags, links, references and content', async () => {
    await using fixture = await FsStoreFixture.create();
    await fill(fixture);
    const { catalog, content, settled, stats } = await fixture.reopen(loseCatalog);
    assert.deepEqual(catalog.tag(alpine, 'latest', 'any'), { digest: index.digest, checkedAtMs: 1_700_000_000_000 });
    assert.equal(catalog.tag(alpine, '3.20', 'image')?.digest, image.digest);
    assert.deepEqual(catalog.manifest(index.digest)?.references, [image.digest]);
    assert.deepEqual(catalog.manifest(image.digest)?.references.toSorted(), image.references.toSorted());
    for (const { digest } of [index, image, ...blobs]) assert.notEqual(catalog.linked(alpine, digest), undefined);
    assert.notEqual(catalog.linked(mirror, sampleBlob(2, 2000).digest), undefined);
    assert.equal(catalog.linked(mirror, index.digest), undefined);
    assert.deepEqual(await content.read(sampleBlob(1, 1000).digest, 1e6), sampleBlob(1, 1000).bytes);
    await settled;
    assert.equal(stats().blobs, 4);
  });

  it('does not bring back what is no longer on disk, or no longer what it was', async () => {
    await using fixture = await FsStoreFixture.create();
    await fill(fixture);
    const { catalog } = await fixture.reopen(async (layout) => {
      await loseCatalog(layout);
      await rm(layout.blob(index.digest));
      await writeFile(layout.blob(image.digest), image.bytes.toString().replace('"size":1000', '"size":1001'));
    });
    assert.equal(catalog.tag(alpine, 'latest', 'any'), undefined);
    assert.equal(catalog.manifest(image.digest), undefined);
    assert.equal(catalog.linked(alpine, sampleBlob(1, 1000).digest), undefined);
  });

  it('does not link a layer that the repository need not have', async () => {
    await using fixture = await FsStoreFixture.create();
    const foreign = sampleBlob(7, 100);
    const document = {
      schemaVersion: 2,
      mediaType: dockerManifest,
      layers: [{ mediaType: 'x/y', digest: foreign.digest, size: 100, urls: ['https://elsewhere.example/x'] }],
    };
    const bytes = Buffer.from(JSON.stringify(document));
    const digest = digestOf(bytes);
    const { content, catalog } = fixture.store;
    await content.put(digest, bytes);
    catalog.addManifest({
      digest,
      mediaType: dockerManifest,
      sizeBytes: bytes.byteLength,
      references: [foreign.digest],
    });
    catalog.link(alpine, [{ digest, sizeBytes: undefined, mediaType: undefined }]);
    const restored = await fixture.reopen(loseCatalog);
    assert.deepEqual(restored.catalog.manifest(digest)?.references, [foreign.digest]);
    assert.notEqual(restored.catalog.linked(alpine, digest), undefined);
    assert.equal(restored.catalog.linked(alpine, foreign.digest), undefined);
  });

  it('starts empty where index.json is damaged', async () => {
    await using fixture = await FsStoreFixture.create();
    await fill(fixture);
    const store = await fixture.reopen(async (layout) => {
      await loseCatalog(layout);
      await writeFile(layout.index, '{"manifests":[{');
    });
    await store.settled;
    assert.equal(store.stats().blobs, 4);
    assert.match(fixture.notices[0]?.message ?? '', /cannot read/);
  });
});

describe('index.json', () => {
  it('is an OCI index with an entry per tag, and none for what an index lists', async () => {
    await using fixture = await FsStoreFixture.create();
    await fill(fixture);
    await fixture.close();
    const entries = parseIndex(await readFile(fixture.layout.index, 'utf8'));
    const seen = entries.map(({ scope, digest, tag }) => `${scope.registry} ${digest === index.digest} ${tag?.tag}`);
    assert.deepEqual(seen.toSorted(), ['docker.io false 3.20', 'docker.io true latest', 'ghcr.io false undefined']);
    const document = JSON.parse(await readFile(fixture.layout.index, 'utf8'));
    assert.equal(document.schemaVersion, 2);
    assert.equal(document.mediaType, ociIndex);
  });

  it('is not written for a tag that was only checked again', async () => {
    await using fixture = await FsStoreFixture.create();
    await fill(fixture);
    const { catalog } = await fixture.reopen();
    const pending = fixture.clock.pending;
    catalog.setTag(alpine, 'latest', 'any', { digest: index.digest, checkedAtMs: 1_800_000_000_000 });
    assert.equal(fixture.clock.pending, pending);
    catalog.removeTag(alpine, 'latest', 'any');
    assert.equal(fixture.clock.pending, pending + 1);
  });

  it('is written once for many changes, the later the more it costs', async () => {
    await using folder = await tempFolder();
    const clock = new VirtualClock();
    let slices = 0;
    const source = {
      slice: () => {
        slices++;
        return { entries: [], next: undefined };
      },
    };
    const path = `${folder.path}/index.json`;
    await using writer = new IndexWriter(
      { clock, health: { failed: assert.fail, worked: () => {} }, disk: nodeDisk, source },
      path,
      `${path}.tmp`,
    );
    writer.changed();
    await writer.flush();
    assert.deepEqual([clock.pending, slices], [0, 0], 'nothing before it is to begin');
    writer.begin();
    for (let change = 0; change < 1000; change++) writer.changed();
    assert.equal(clock.pending, 1);
    clock.advance(indexDelayMs(0));
    await writer.flush();
    assert.equal(slices, 1);
    assert.equal(indexDelayMs(3000), 150_000);
  });
});
