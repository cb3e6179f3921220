import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FsStoreFixture } from '../testing/fs-store-fixture.ts';
import { sampleBlob, sampleDigest, sampleManifest, sampleScope } from '../testing/sample-content.ts';

const scope = sampleScope('library/alpine');
const dayMs = 24 * 3600 * 1000;

describe('what eviction never meets', () => {
  it('is forgotten after a day, and nothing else is', async () => {
    await using fixture = await FsStoreFixture.create();
    const { content, catalog } = fixture.store;
    const stored = sampleBlob(1, 100);
    const manifest = sampleManifest([stored, sampleBlob(2, 100)]);
    const lazy = sampleBlob(2, 100).digest;
    for (const { digest, bytes } of [stored, manifest]) await content.put(digest, bytes);
    catalog.addManifest(manifest);
    const nothing = { sizeBytes: undefined, mediaType: undefined };
    const digests = [stored.digest, manifest.digest, lazy];
    catalog.link(
      scope,
      digests.map((digest) => ({ digest, ...nothing })),
    );
    catalog.link(scope, [{ digest: sampleDigest('never came'), ...nothing }], 'confirmed');
    catalog.setTag(scope, 'known', 'any', { digest: manifest.digest, checkedAtMs: fixture.clock.now() });
    catalog.setTag(scope, 'unknown', 'any', { digest: sampleDigest('elsewhere'), checkedAtMs: fixture.clock.now() });
    const step = () => {
      catalog.touch(stored.digest);
      fixture.clock.advance(5000);
    };
    step();
    assert.notEqual(catalog.linked(scope, sampleDigest('never came')), undefined);
    fixture.clock.advance(dayMs);
    step();
    assert.equal(catalog.linked(scope, sampleDigest('never came')), undefined);
    assert.equal(catalog.tag(scope, 'unknown', 'any'), undefined);
    for (const digest of digests) assert.notEqual(catalog.linked(scope, digest), undefined);
    assert.notEqual(catalog.tag(scope, 'known', 'any'), undefined);
  });
});
