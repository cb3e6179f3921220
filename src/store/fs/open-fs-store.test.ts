import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { catalogSuite } from '../testing/catalog-suite.ts';
import { contentStoreSuite } from '../testing/content-store-suite.ts';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob } from '../testing/sample-content.ts';

async function subject() {
  const fixture = await FsStoreFixture.create();
  const { content, catalog } = fixture.store;
  const { changes } = fixture;
  return {
    content,
    catalog,
    changes,
    [Symbol.asyncDispose]: async () => {
      await fixture[Symbol.asyncDispose]();
      assert.equal(fixture.clock.pending, 0, 'a timer is left');
    },
  };
}

contentStoreSuite('store on disk', subject);
catalogSuite('catalog on sqlite', subject);

const blob = sampleBlob(1, 10_000);

describe('disk and catalog', () => {
  it('content is a file of an OCI image layout, and nothing else is left of its fill', async () => {
    await using fixture = await FsStoreFixture.create();
    const partial = await fixture.store.content.openPartial(blob.digest);
    await partial.write(blob.bytes, 0);
    await partial.record([{ start: 0, end: 10_000 }], 10_000);
    await partial.commit(10_000);
    await partial.close();
    const { root } = fixture.layout;
    assert.deepEqual(await readFile(join(root, 'blobs/sha256', blob.digest.slice(7))), Buffer.from(blob.bytes));
    assert.equal(await readFile(join(root, 'oci-layout'), 'utf8'), '{"imageLayoutVersion":"1.0.0"}\n');
    assert.deepEqual(await readdir(join(root, 'ingest')), []);
  });

  it('a file without a row is adopted when it is asked for', async () => {
    await using fixture = await FsStoreFixture.create();
    const { content } = fixture.store;
    const other = sampleBlob(2, 500);
    await writeFile(fixture.layout.blob(blob.digest), blob.bytes);
    await writeFile(fixture.layout.blob(other.digest), other.bytes);
    assert.equal(await content.sizeOf(blob.digest), 10_000);
    assert.deepEqual(await content.read(other.digest, 1e6), other.bytes);
    assert.deepEqual({ ...fixture.store.stats() }.sizeBytes, 10_500);
  });

  it('a file that vanished is a miss, and its row goes', async () => {
    await using fixture = await FsStoreFixture.create();
    const { content } = fixture.store;
    await content.put(blob.digest, blob.bytes);
    await rm(fixture.layout.blob(blob.digest));
    assert.equal(await content.open(blob.digest), undefined);
    assert.equal(await content.sizeOf(blob.digest), undefined);
    assert.equal(fixture.store.stats().blobs, 0);
    await content.put(blob.digest, blob.bytes);
    assert.deepEqual(await content.read(blob.digest, 1e6), blob.bytes);
  });

  it('a file of another size than was committed is quarantined, and a miss', async () => {
    await using fixture = await FsStoreFixture.create();
    const { content } = fixture.store;
    await content.put(blob.digest, blob.bytes);
    await truncate(fixture.layout.blob(blob.digest), 9000);
    assert.equal(await content.read(blob.digest, 1e6), undefined);
    assert.equal(await content.sizeOf(blob.digest), undefined);
    assert.equal((await stat(fixture.layout.quarantined(blob.digest))).size, 9000);
    assert.match(fixture.notices.at(-1)?.message ?? '', /damaged/);
  });

  it('readers of one digest share one descriptor', async () => {
    await using fixture = await FsStoreFixture.create();
    const { content } = fixture.store;
    await content.put(blob.digest, blob.bytes);
    const blobs = await Promise.all(Array.from({ length: 50 }, () => content.open(blob.digest)));
    assert.equal(new Set(blobs.map((open) => open?.fd)).size, 1);
    for (const open of blobs) open?.close();
  });

  it('content and totals survive a restart', async () => {
    await using fixture = await FsStoreFixture.create();
    await fixture.store.content.put(blob.digest, blob.bytes);
    const store = await fixture.reopen();
    assert.deepEqual(await store.content.read(blob.digest, 1e6), blob.bytes);
    assert.deepEqual(store.stats(), {
      sizeBytes: 10_000,
      maxSizeBytes: 1e9,
      blobs: 1,
      strayBytes: 10_000,
      openPartials: 0,
      leftoverPartials: 0,
      reservedBytes: 0,
    });
  });
});

describe('partial files over a restart', () => {
  it('a fill resumes in the next process, and its bytes count', async () => {
    await using fixture = await FsStoreFixture.create();
    const partial = await fixture.store.content.openPartial(blob.digest);
    await partial.record([{ start: 0, end: 0 }], 10_000);
    await partial.write(blob.bytes.subarray(0, 4096), 0);
    await partial.close();
    const store = await fixture.reopen();
    assert.equal(store.stats().leftoverPartials, 1);
    assert.equal(store.stats().sizeBytes, 4096);
    const resumed = await store.content.openPartial(blob.digest);
    assert.deepEqual(resumed.resumed, { filled: [{ start: 0, end: 4096 }], sizeBytes: 10_000 });
    await resumed.close();
  });

  it('a garbled record counts as none', async () => {
    await using fixture = await FsStoreFixture.create();
    const partial = await fixture.store.content.openPartial(blob.digest);
    await partial.write(blob.bytes, 0);
    await partial.record([{ start: 0, end: 10_000 }], 10_000);
    await partial.close();
    const store = await fixture.reopen((layout) => writeFile(layout.partialRecord(blob.digest), '{"version":1,"si'));
    const resumed = await store.content.openPartial(blob.digest);
    assert.deepEqual(resumed.resumed, { filled: [], sizeBytes: undefined });
    await resumed.close();
  });

  it('drafts and records without data are cleared away at start', async () => {
    await using fixture = await FsStoreFixture.create();
    await fixture.reopen(async (layout) => {
      await writeFile(layout.partialRecord(blob.digest), '{}');
      await writeFile(layout.blobDraft(blob.digest), 'half');
    });
    assert.deepEqual(await readdir(fixture.layout.ingest), []);
  });
});

describe('a directory that cannot be used', () => {
  it('is refused in one line', async () => {
    await using fixture = await FsStoreFixture.create();
    await fixture.close();
    await rm(fixture.layout.ingest, { recursive: true });
    await writeFile(fixture.layout.ingest, 'a file');
    await assert.rejects(fixture.open(), (error: Error & { code: string }) => {
      assert.equal(error.code, 'STORAGE_FAILED');
      assert.match(error.message, /^cannot use the data directory \S+: [^\n]+$/);
      return true;
    });
    await rm(fixture.layout.ingest);
    await mkdir(fixture.layout.ingest);
    await fixture.open();
  });
});

describe('a catalog that cannot be read', () => {
  it('is set aside with a notice, and content is still found', async () => {
    await using fixture = await FsStoreFixture.create();
    await fixture.store.content.put(blob.digest, blob.bytes);
    const store = await fixture.reopen((layout) => writeFile(layout.catalog, 'x'.repeat(8192)));
    assert.equal(await store.content.sizeOf(blob.digest), 10_000);
    await store.settled;
    assert.equal(store.stats().sizeBytes, 10_000);
    assert.match(fixture.notices[0]?.message ?? '', /catalog cannot be used/);
    const names = await readdir(fixture.layout.root);
    assert.equal(names.filter((name) => name.startsWith('catalog.db.corrupt-')).length, 1);
  });

  it('is set aside where it was found damaged in use', async () => {
    await using fixture = await FsStoreFixture.create();
    await fixture.store.content.put(blob.digest, blob.bytes);
    const store = await fixture.reopen((layout) => writeFile(`${layout.catalog}.suspect`, ''));
    await store.settled;
    assert.equal(store.stats().blobs, 1);
    assert.equal(fixture.notices.length, 1);
  });

  it('is set aside where a later release wrote it', async () => {
    await using fixture = await FsStoreFixture.create();
    await fixture.reopen(async (layout) => {
      const { DatabaseSync } = await import('node:sqlite');
      const database = new DatabaseSync(layout.catalog);
      database.exec('PRAGMA user_version = 9999');
      database.close();
    });
    assert.match(fixture.notices[0]?.message ?? '', /newer than this release/);
  });
});

describe('after a crash', () => {
  it('files that lost their row are found by the walk', async () => {
    await using fixture = await FsStoreFixture.create();
    await fixture.store.content.put(blob.digest, blob.bytes);
    const copy = `${fixture.layout.root}-catalog`;
    await rename(fixture.layout.blob(blob.digest), copy);
    await fixture.store.content.open(blob.digest);
    await fixture.reopen();
    // The catalog says that all is complete; an unclean end leaves it without that mark.
    await fixture.reopen(async (layout) => {
      const { DatabaseSync } = await import('node:sqlite');
      const database = new DatabaseSync(layout.catalog);
      database.exec("DELETE FROM state WHERE name = 'complete'");
      database.close();
      await rename(copy, layout.blob(blob.digest));
    });
    await fixture.store.settled;
    assert.equal(fixture.store.stats().sizeBytes, 10_000);
  });
});
