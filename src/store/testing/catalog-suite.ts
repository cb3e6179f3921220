import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ChangeCount } from '../../core/change-count.ts';
import type { Catalog } from '../catalog.ts';
import { sampleDigest, sampleScope } from './sample-content.ts';

export interface CatalogUnderTest extends AsyncDisposable {
  readonly catalog: Catalog;
  /** What it was made with. */
  readonly changes: ChangeCount;
}

/** What every catalog does. */
export function catalogSuite(name: string, factory: () => Promise<CatalogUnderTest>): void {
  const scope = sampleScope('library/alpine');
  const other = sampleScope('library/busybox');
  const digest = sampleDigest('content');
  const manifest = {
    digest,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    sizeBytes: 500,
    references: [sampleDigest('config'), sampleDigest('layer')],
  };

  function behaves(behaviour: string, test: (catalog: Catalog, changes: ChangeCount) => void): void {
    it(behaviour, async () => {
      await using subject = await factory();
      test(subject.catalog, subject.changes);
    });
  }

  describe(`${name}: manifests`, () => {
    behaves('a manifest is found with what it references', (catalog) => {
      catalog.addManifest(manifest);
      const found = catalog.manifest(digest);
      assert.deepEqual(
        { ...found, references: found?.references.toSorted() },
        { ...manifest, references: manifest.references.toSorted() },
      );
    });

    behaves('an unknown manifest is undefined', (catalog) => {
      assert.equal(catalog.manifest(digest), undefined);
    });

    behaves('adding a manifest again changes nothing', (catalog) => {
      catalog.addManifest(manifest);
      catalog.addManifest(manifest);
      assert.equal(catalog.manifest(digest)?.references.length, 2);
    });
  });

  describe(`${name}: links`, () => {
    behaves('content is linked to the scope that it was linked to, and to no other', (catalog) => {
      catalog.link(scope, [{ digest, sizeBytes: 7, mediaType: 'a/b' }]);
      assert.deepEqual(catalog.linked(scope, digest), { digest, sizeBytes: 7, mediaType: 'a/b' });
      assert.equal(catalog.linked(other, digest), undefined);
      assert.equal(catalog.linked({ ...scope, identity: 'someone' }, digest), undefined);
      assert.equal(catalog.linked({ ...scope, registry: 'ghcr.io' }, digest), undefined);
    });

    behaves('a link keeps what it knows where a new one says less', (catalog) => {
      catalog.link(scope, [{ digest, sizeBytes: 7, mediaType: 'a/b' }]);
      catalog.link(scope, [{ digest, sizeBytes: undefined, mediaType: undefined }], 'confirmed');
      assert.deepEqual(catalog.linked(scope, digest), { digest, sizeBytes: 7, mediaType: 'a/b' });
    });

    behaves('a link learns what a new one says', (catalog) => {
      catalog.link(scope, [{ digest, sizeBytes: undefined, mediaType: undefined }], 'confirmed');
      catalog.link(scope, [{ digest, sizeBytes: 7, mediaType: undefined }]);
      assert.deepEqual(catalog.linked(scope, digest), { digest, sizeBytes: 7, mediaType: undefined });
    });
  });

  describe(`${name}: tags`, () => {
    behaves('a tag points where it was set last, per variant', (catalog) => {
      catalog.setTag(scope, 'latest', 'any', { digest: sampleDigest('old'), checkedAtMs: 1 });
      catalog.setTag(scope, 'latest', 'any', { digest, checkedAtMs: 2 });
      catalog.setTag(scope, 'latest', 'index', { digest: sampleDigest('index'), checkedAtMs: 3 });
      assert.deepEqual(catalog.tag(scope, 'latest', 'any'), { digest, checkedAtMs: 2 });
      assert.equal(catalog.tag(scope, 'latest', 'index')?.digest, sampleDigest('index'));
      assert.equal(catalog.tag(other, 'latest', 'any'), undefined);
    });

    behaves('a removed tag is gone, its other variants stay', (catalog) => {
      catalog.setTag(scope, 'latest', 'any', { digest, checkedAtMs: 1 });
      catalog.setTag(scope, 'latest', 'index', { digest, checkedAtMs: 1 });
      catalog.removeTag(scope, 'latest', 'any');
      catalog.removeTag(other, 'latest', 'index');
      assert.equal(catalog.tag(scope, 'latest', 'any'), undefined);
      assert.notEqual(catalog.tag(scope, 'latest', 'index'), undefined);
    });
  });

  describe(`${name}: changes`, () => {
    behaves('what is added, said again or checked again makes nothing untrue', (catalog, changes) => {
      const before = changes.value;
      for (const checkedAtMs of [1, 2]) {
        catalog.addManifest(manifest);
        catalog.link(scope, [{ digest, sizeBytes: undefined, mediaType: undefined }], 'confirmed');
        catalog.link(scope, [{ digest, sizeBytes: 7, mediaType: 'a/b' }]);
        catalog.setTag(scope, 'latest', 'any', { digest, checkedAtMs });
        catalog.setTag(scope, 'other', 'any', { digest: sampleDigest('other'), checkedAtMs });
        catalog.touch(digest);
      }
      catalog.removeTag(scope, 'never-there', 'any');
      assert.equal(changes.value, before);
    });

    behaves('a tag that counts as checked earlier than before counts', (catalog, changes) => {
      catalog.addManifest(manifest);
      catalog.setTag(scope, 'latest', 'any', { digest, checkedAtMs: 10 });
      const before = changes.value;
      catalog.setTag(scope, 'latest', 'any', { digest, checkedAtMs: 20 });
      assert.equal(changes.value, before);
      catalog.setTag(scope, 'latest', 'any', { digest, checkedAtMs: 0 });
      assert.equal(changes.value, before + 1);
    });

    behaves('a tag that moves counts, and one that is gone', (catalog, changes) => {
      catalog.setTag(scope, 'latest', 'any', { digest, checkedAtMs: 1 });
      const before = changes.value;
      catalog.setTag(scope, 'latest', 'any', { digest: sampleDigest('new'), checkedAtMs: 2 });
      assert.equal(changes.value, before + 1);
      catalog.removeTag(scope, 'latest', 'any');
      assert.equal(changes.value, before + 2);
    });

    behaves('a digest that turns out to be something else counts', (catalog, changes) => {
      catalog.link(scope, [{ digest, sizeBytes: 7, mediaType: 'a/b' }]);
      const before = changes.value;
      catalog.link(scope, [{ digest, sizeBytes: 8, mediaType: 'a/b' }]);
      assert.equal(changes.value, before + 1);
      catalog.link(scope, [{ digest, sizeBytes: 8, mediaType: 'a/c' }]);
      assert.equal(changes.value, before + 2);
    });
  });

  describe(`${name}: repositories`, () => {
    behaves('repositories with a manifest are listed in order, page by page', (catalog) => {
      catalog.addManifest(manifest);
      for (const repository of ['c', 'a', 'b']) {
        catalog.link(sampleScope(repository), [{ digest, sizeBytes: 1, mediaType: undefined }]);
      }
      catalog.link({ ...sampleScope('a'), identity: 'someone' }, [{ digest, sizeBytes: 1, mediaType: undefined }]);
      catalog.link(sampleScope('blobs-only'), [{ digest: sampleDigest('x'), sizeBytes: 1, mediaType: undefined }]);
      assert.deepEqual(catalog.repositories(undefined, 2), ['docker.io/a', 'docker.io/b']);
      assert.deepEqual(catalog.repositories('docker.io/b', 2), ['docker.io/c']);
    });
  });
}
