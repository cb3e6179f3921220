import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Digest } from '../../core/digest.ts';
import { parseReference } from '../../core/reference.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Channels } from '../../telemetry/channels.ts';
import { sampleBlob, sampleManifest, sampleScope } from '../testing/sample-content.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { CatalogBacklog } from './catalog-backlog.ts';
import { BlobTable } from './catalog-blobs.ts';
import { CatalogDatabase } from './catalog-database.ts';
import { ReferenceGraph } from './catalog-graph.ts';
import { CatalogRemoval } from './catalog-removal.ts';
import { SqliteCatalog } from './catalog-sqlite.ts';
import { DigestQueue } from './digest-queue.ts';
import { FsImages } from './fs-images.ts';
import { ImageList } from './image-list.ts';
import { ImageNames } from './image-names.ts';
import { ImageTable } from './image-table.ts';
import { OpenFiles } from './open-files.ts';
import { PinnedContent } from './pinned-content.ts';
import { Purge } from './purge.ts';
import { SteadyBlobs } from './steady-blobs.ts';
import { SteadyCatalog } from './steady-catalog.ts';

const scope = sampleScope('library/alpine');
const layers = [sampleBlob(1, 100), sampleBlob(2, 200)];
const manifest = sampleManifest(layers);
const tag = parseReference('v1') ?? assert.fail();
const query = { order: 'size', search: undefined, limit: 10, after: undefined } as const;

/** Images in a catalog that SQLite refuses to write (SQLITE_READONLY) when told. */
async function worldOf() {
  const folder = await tempFolder();
  const clock = new VirtualClock();
  const channels = new Channels();
  const onFailure = () => {};
  const database = new CatalogDatabase(join(folder.path, 'catalog.db'), onFailure, () => {});
  const changed = () => {};
  const sqlite = new SqliteCatalog({ clock, database, accessTimes: { touch: () => {} }, changed });
  const health = { worked: () => {} };
  const backlog = new CatalogBacklog({ clock, database, health, onLoss: () => {} });
  const blobs = new SteadyBlobs({ table: new BlobTable(database), backlog });
  const references = new ReferenceGraph(database);
  const [table, names] = [new ImageTable(database), new ImageNames(database)];
  const discarded: Digest[] = [];
  const purge = new Purge({
    clock,
    channels,
    names,
    blobs,
    references,
    removal: new CatalogRemoval({ database, changed }),
    transaction: (work) => database.transaction(work),
    queue: new DigestQueue(),
    files: new OpenFiles(),
    ingest: { isInUse: () => false, bytesOf: () => 0, removeLeftover: async () => 0 },
    kept: { left: () => {} },
    discard: async (digest) => discarded.push(digest) > 0,
  });
  const list = new ImageList({ clock, table });
  const pinned = new PinnedContent({ clock, blobs, references });
  const catalog = new SteadyCatalog({ catalog: sqlite, backlog });
  catalog.addManifest(manifest);
  catalog.link(
    scope,
    [manifest, ...layers].map(({ digest, bytes }) => ({ digest, sizeBytes: bytes.length, mediaType: 'x/y' })),
  );
  catalog.setTag(scope, 'v1', 'any', { digest: manifest.digest, checkedAtMs: 1 });
  for (const { digest, bytes } of [manifest, ...layers]) blobs.add(digest, bytes.length, clock.now());
  return {
    catalog,
    discarded,
    images: new FsImages({ backlog, table, names, list, purge, pinned, changed }),
    refuse: (isRefused: boolean) => void database.prepare(`PRAGMA query_only = ${isRefused ? 1 : 0}`).all(),
    async [Symbol.asyncDispose]() {
      await list[Symbol.asyncDispose]();
      await pinned[Symbol.asyncDispose]();
      purge[Symbol.dispose]();
      database[Symbol.dispose]();
      await folder[Symbol.asyncDispose]();
      assert.equal(clock.pending, 0, 'a timer is left');
    },
  };
}

describe('while the catalog takes no changes', () => {
  it('images are listed, in any order, by what is known', async () => {
    await using world = await worldOf();
    world.refuse(true);
    const { images } = await world.images.list({ ...query, order: 'used' }, new AbortController().signal);
    assert.equal(images[0]?.sizeBytes, 300 + manifest.sizeBytes);
    assert.equal((await world.images.list(query, new AbortController().signal)).images.length, 1);
  });

  it('a purge or a pin fails, and changes nothing', async () => {
    await using world = await worldOf();
    world.refuse(true);
    await assert.rejects(world.images.purge(scope, tag), { code: 'STORAGE_FAILED' });
    assert.throws(() => world.images.setPinned(scope, tag, true), { code: 'STORAGE_FAILED' });
    world.refuse(false);
    assert.deepEqual(world.discarded, []);
    assert.notEqual(world.catalog.tag(scope, 'v1', 'any'), undefined);
    const [image] = (await world.images.list(query, new AbortController().signal)).images;
    assert.equal(image?.isPinned, false);
    assert.equal((await world.images.purge(scope, tag))?.blobs.length, 3);
    assert.equal(world.discarded.length, 3);
  });

  it('what it could not be told is told before a purge, which so finds all there is', async () => {
    await using world = await worldOf();
    world.refuse(true);
    world.catalog.setTag(scope, 'v2', 'any', { digest: manifest.digest, checkedAtMs: 2 });
    world.refuse(false);
    assert.deepEqual((await world.images.purge(scope, tag))?.blobs, [], 'the other tag has it');
    assert.notEqual(world.catalog.tag(scope, 'v2', 'any'), undefined);
  });
});
