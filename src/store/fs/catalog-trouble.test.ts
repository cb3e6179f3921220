import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Channels, type NoticeEvent } from '../../telemetry/channels.ts';
import { sampleBlob, sampleDigest, sampleManifest, sampleScope } from '../testing/sample-content.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { CatalogBacklog } from './catalog-backlog.ts';
import { BlobTable } from './catalog-blobs.ts';
import { type CatalogDatabase, openCatalogDatabase } from './catalog-database.ts';
import { CatalogRemoval } from './catalog-removal.ts';
import { SqliteCatalog } from './catalog-sqlite.ts';
import { SteadyBlobs } from './steady-blobs.ts';
import { SteadyCatalog } from './steady-catalog.ts';
import { StoreHealth } from './store-health.ts';

const scope = sampleScope('library/alpine');
const [one, two] = [sampleBlob(1, 100), sampleBlob(2, 200)];
const manifest = sampleManifest([one, two]);

/** A catalog whose file SQLite refuses to write (SQLITE_READONLY), or has no page left for (SQLITE_FULL), when told. */
async function worldOf() {
  const folder = await tempFolder();
  const clock = new VirtualClock();
  const channels = new Channels();
  const notices: NoticeEvent[] = [];
  channels.notice.subscribe((event) => notices.push(event));
  const health = new StoreHealth({ clock, channels, probe: async () => backlog.drain() });
  const onTrouble = (error: unknown) => health.failed('catalog', error);
  let losses = 0;
  const onLoss = () => void losses++;
  const database = await openCatalogDatabase({ clock, channels, onTrouble, onLoss }, join(folder.path, 'catalog.db'));
  const accessTimes = { touch: () => {} };
  const sqlite = new SqliteCatalog({ clock, database, accessTimes, changed: () => {} });
  const table = new BlobTable(database);
  const removal = new CatalogRemoval({ database, changed: () => {} });
  const backlog = new CatalogBacklog({ clock, database, health, onLoss });
  const world = {
    clock,
    notices,
    health,
    database,
    sqlite,
    table,
    removal,
    backlog,
    losses: () => losses,
    blobs: new SteadyBlobs({ table, backlog }),
    catalog: new SteadyCatalog({ catalog: sqlite, backlog }),
    [Symbol.asyncDispose]: async () => {
      await health[Symbol.asyncDispose]();
      database[Symbol.dispose]();
      await folder[Symbol.asyncDispose]();
      assert.equal(clock.pending, 0, 'a timer is left');
    },
  };
  return world;
}

type World = Awaited<ReturnType<typeof worldOf>>;

const pragma = (database: CatalogDatabase, text: string) => database.prepare(`PRAGMA ${text}`).all();
const refuse = ({ database }: World) => pragma(database, 'query_only = 1');
const accept = ({ database }: World) => pragma(database, 'query_only = 0');

/** Lets the next probe come. */
async function probe({ clock }: World): Promise<void> {
  clock.advance(10_000);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

function tell({ catalog, blobs, clock }: World): void {
  catalog.addManifest(manifest);
  catalog.link(scope, [{ digest: manifest.digest, sizeBytes: manifest.sizeBytes, mediaType: manifest.mediaType }]);
  catalog.setTag(scope, 'v1', 'any', { digest: manifest.digest, checkedAtMs: clock.now() });
  blobs.add(one.digest, 100, clock.now());
}

function assertTold({ catalog, blobs }: Pick<World, 'catalog' | 'blobs'>): void {
  assert.deepEqual(catalog.manifest(manifest.digest)?.references, manifest.references);
  assert.equal(catalog.linked(scope, manifest.digest)?.sizeBytes, manifest.sizeBytes);
  assert.equal(catalog.tag(scope, 'v1', 'any')?.digest, manifest.digest);
  assert.deepEqual(catalog.repositories(undefined, 10), ['docker.io/library/alpine']);
  assert.equal(blobs.find(one.digest)?.sizeBytes, 100);
  assert.deepEqual(blobs.totals(), { sizeBytes: 100, blobs: 1 });
}

describe('a catalog that cannot be written', () => {
  it('fails nobody: what it was told is known all the same, and written when it can be', async () => {
    await using world = await worldOf();
    refuse(world);
    tell(world);
    assertTold(world);
    assert.equal(world.table.find(one.digest), undefined, 'it is not in the catalog');
    accept(world);
    await probe(world);
    assert.ok(world.backlog.isEmpty);
    assertTold(world);
    assert.equal(world.table.find(one.digest)?.sizeBytes, 100);
    assert.equal(world.sqlite.tag(scope, 'v1', 'any')?.digest, manifest.digest);
  });

  it('tells of each change that waits, and of the end of the waiting', async () => {
    await using world = await worldOf();
    tell(world);
    assert.equal(world.losses(), 0);
    refuse(world);
    world.catalog.removeTag(scope, 'v1', 'any');
    assert.equal(world.losses(), 1);
    world.blobs.remove(one.digest);
    assert.equal(world.losses(), 2);
    accept(world);
    await probe(world);
    assert.ok(world.losses() > 2);
  });

  it('tells of no change that was rolled back', async () => {
    await using world = await worldOf();
    tell(world);
    assert.throws(() =>
      world.database.transaction(() => {
        world.table.remove(one.digest);
        throw new Error('the test says so');
      }),
    );
    assert.equal(world.table.find(one.digest)?.sizeBytes, 100);
    assert.equal(world.losses(), 0);
  });

  it('is said once, and once more when it is over', async () => {
    await using world = await worldOf();
    refuse(world);
    tell(world);
    await probe(world);
    tell(world);
    assert.deepEqual(
      world.health.reasons().map((reason) => reason.split(':')[0]),
      ['the catalog cannot be used'],
    );
    assert.equal(world.notices.length, 1);
    accept(world);
    await probe(world);
    assert.deepEqual(world.health.reasons(), []);
    assert.deepEqual(
      world.notices.map(({ level }) => level),
      ['error', 'info'],
    );
  });

  it('that is full is the same, and heals with the first write that is a second later', async () => {
    await using world = await worldOf();
    pragma(world.database, 'max_page_count = 1');
    const many = Array.from({ length: 3000 }, (_, seed) => sampleDigest(`blob ${seed}`));
    for (const digest of many) world.blobs.add(digest, 1, world.clock.now());
    assert.match(world.health.reasons().join(), /full/);
    assert.deepEqual(world.blobs.totals(), { sizeBytes: 3000, blobs: 3000 });
    pragma(world.database, 'max_page_count = 1000000');
    world.clock.advance(1000);
    tell(world);
    assert.deepEqual(world.table.totals(), { sizeBytes: 3100, blobs: 3001 });
    assert.deepEqual(world.health.reasons(), []);
  });

  it('forgets nothing that leaves: its row, links and tags are gone, then and later', async () => {
    await using world = await worldOf();
    tell(world);
    refuse(world);
    world.catalog.removeTag(scope, 'v1', 'any');
    const digests = [one.digest];
    world.blobs.removeBy(digests, () => world.removal.remove(digests));
    assert.equal(world.catalog.tag(scope, 'v1', 'any'), undefined);
    assert.equal(world.blobs.find(one.digest), undefined);
    assert.deepEqual(world.blobs.totals(), { sizeBytes: 0, blobs: 0 });
    world.blobs.add(one.digest, 150, world.clock.now());
    assert.deepEqual(world.blobs.totals(), { sizeBytes: 150, blobs: 1 });
    accept(world);
    await probe(world);
    assert.equal(world.sqlite.tag(scope, 'v1', 'any'), undefined);
    assert.deepEqual(world.table.totals(), { sizeBytes: 150, blobs: 1 });
  });

  it('keeps a tag that was set again after it was removed', async () => {
    await using world = await worldOf();
    tell(world);
    refuse(world);
    world.catalog.removeTag(scope, 'v1', 'any');
    world.catalog.setTag(scope, 'v1', 'any', { digest: two.digest, checkedAtMs: 1 });
    assert.equal(world.catalog.tag(scope, 'v1', 'any')?.digest, two.digest);
    accept(world);
    await probe(world);
    assert.equal(world.sqlite.tag(scope, 'v1', 'any')?.digest, two.digest);
  });

  it('takes a bounded memory: when there is too much to remember it is forgotten, and the next start walks', async () => {
    await using world = await worldOf();
    refuse(world);
    assert.ok(world.backlog.isComplete);
    for (let seed = 0; seed <= 5000; seed++) world.blobs.add(sampleDigest(`blob ${seed}`), 1, 0);
    assert.equal(world.backlog.isComplete, false);
    assert.deepEqual(world.blobs.totals(), { sizeBytes: 1, blobs: 1 });
  });

  it('is no excuse for a mistake of ours: what it refuses for what it is fails as before', async () => {
    await using world = await worldOf();
    assert.throws(() => world.blobs.add(one.digest, 1.5, 0), { code: 'STORAGE_FAILED' });
    assert.deepEqual(world.health.reasons(), []);
  });
});
