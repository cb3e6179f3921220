import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { ociIndex, ociManifest } from '../core/media-types.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { PullWorld } from './testing/pull-world.ts';
import { testImage, testIndex } from './testing/test-image.ts';

const image = testImage(1);
const { digest } = image.manifest;

describe('a manifest by digest', () => {
  let world: PullWorld;

  beforeEach(() => {
    world = new PullWorld();
    world.hub.push('library/app', 'latest', image);
  });

  afterEach(() => world[Symbol.asyncDispose]());

  it('is fetched once for all who ask, and never again', async () => {
    const answers = await world.soon(Promise.all(Array.from({ length: 256 }, () => world.manifest(digest))));
    assert.ok(answers.every(({ bytes }) => bytes === answers[0]?.bytes));
    assert.deepEqual(answers[0]?.bytes, image.manifest.bytes);
    world.clock.advance(365 * 24 * 3_600_000);
    assert.equal((await world.soon(world.manifest(digest))).served, 'hit');
    assert.deepEqual(world.hub.calls, [`GET manifest library/app ${digest}`]);
    world.assertNothingLeft();
  });

  it('that is another one than asked for is not served and not kept', async () => {
    const other = testImage(2);
    world.hub.pushManifest('library/app', 'x', { ...other.manifest, digest });
    await assert.rejects(world.soon(world.manifest(digest)), { code: 'CONTENT_MISMATCH' });
    assert.equal(await world.store.sizeOf(digest), undefined);
    assert.equal(await world.store.sizeOf(other.manifest.digest), undefined);
    assert.equal(world.catalog.linked(world.scope(), digest), undefined);
  });

  it('that is here by another repository is confirmed by HEAD and not fetched', async () => {
    await world.soon(world.manifest(digest));
    world.hub.push('library/fork', 'latest', image);
    const fork = world.scope('library/fork');
    const answers = await world.soon(
      Promise.all(Array.from({ length: 20 }, () => world.manifest(digest, { scope: fork }))),
    );
    assert.deepEqual(answers[0]?.bytes, image.manifest.bytes);
    assert.deepEqual(world.hub.calls.slice(1), [`HEAD manifest library/fork ${digest}`]);
    assert.ok(world.catalog.linked(fork, image.layer.digest), 'its layers are known of the fork too');
  });

  it('is not served to a repository that does not have it, whoever else has', async () => {
    await world.soon(world.manifest(digest));
    const stranger = world.scope('library/stranger');
    await assert.rejects(world.soon(world.manifest(digest, { scope: stranger })), { code: 'MANIFEST_UNKNOWN' });
    const elsewhere = world.scope('library/app', 'ghcr.io');
    await assert.rejects(world.soon(world.manifest(digest, { scope: elsewhere })), { code: 'MANIFEST_UNKNOWN' });
  });

  it('fails in the same way for content that others have as for what nobody has', async () => {
    const large = sampleBytes(5, 5_000_000);
    const text = Buffer.from('not JSON');
    for (const bytes of [large, text, image.config.bytes, image.layer.bytes]) {
      const known = testImage(9).layer.digest;
      await world.store.put(known, bytes);
      const stranger = world.scope('library/stranger');
      const error = await world.soon(world.manifest(known, { scope: stranger }).catch((failure) => failure));
      assert.deepEqual([error.code, error.message], ['MANIFEST_UNKNOWN', 'no manifest here']);
    }
  });

  it('is not made of a blob that the repository has', async () => {
    await world.soon(world.manifest(digest));
    await world.bytesOf(await world.soon(world.blob(image.config.digest)));
    await assert.rejects(world.soon(world.manifest(image.config.digest)), { code: 'MANIFEST_UNKNOWN' });
    assert.equal(world.catalog.manifest(image.config.digest), undefined);
  });

  it('that is refused does not stand in the way of the blob of that digest', async () => {
    await world.soon(world.manifest(digest));
    await assert.rejects(world.soon(world.manifest(image.layer.digest)), { code: 'MANIFEST_UNKNOWN' });
    const layer = await world.bytesOf(await world.soon(world.blob(image.layer.digest)));
    assert.ok(layer.equals(image.layer.bytes));
  });

  it('is fetched again when it is damaged on disk', async () => {
    await world.soon(world.manifest(digest));
    const restarted = new PullWorld();
    await using _ = restarted;
    restarted.hub.push('library/app', 'latest', image);
    restarted.catalog.link(restarted.scope(), [{ digest, sizeBytes: 1, mediaType: ociManifest }]);
    restarted.store.failReads = new AppError('STORAGE_FAILED', 'it is shorter than it was');
    await restarted.store.put(digest, image.manifest.bytes);
    assert.deepEqual((await restarted.soon(restarted.manifest(digest))).bytes, image.manifest.bytes);
    assert.equal(restarted.hub.count('GET'), 1);
  });

  it('reaches the client although it cannot be kept, and its layers can be pulled', async () => {
    world.store.failPuts = new AppError('STORAGE_FULL', 'no space left');
    assert.deepEqual((await world.soon(world.manifest('latest'))).bytes, image.manifest.bytes);
    assert.deepEqual((await world.soon(world.manifest(digest))).bytes, image.manifest.bytes);
    assert.equal(world.hub.count('GET manifest'), 1);
    assert.equal(world.catalog.manifest(digest), undefined, 'the catalog says nothing that is not on disk');
    assert.ok(world.catalog.linked(world.scope(), image.layer.digest));
  });

  it('of an index does not vouch for its children', async () => {
    const child = testImage(3);
    const index = testIndex(child.manifest);
    world.other.push('org/private', 'latest', child);
    world.hub.pushManifest('library/app', 'multi', index);
    await world.soon(world.manifest('latest', { scope: world.scope('org/private', 'ghcr.io') }));
    const answer = await world.soon(world.manifest('multi'));
    assert.equal(answer.mediaType, ociIndex);
    await assert.rejects(world.soon(world.manifest(child.manifest.digest)), { code: 'MANIFEST_UNKNOWN' });
    await assert.rejects(world.soon(world.blob(child.layer.digest)), { code: 'BLOB_UNKNOWN' });
  });

  it('does not prove that the repository has foreign layers', async () => {
    const foreign = testImage(4, 3000, 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
    world.hub.push('library/app', 'foreign', foreign);
    await world.soon(world.manifest('foreign'));
    assert.ok(world.catalog.linked(world.scope(), foreign.config.digest));
    assert.equal(world.catalog.linked(world.scope(), foreign.layer.digest), undefined);
  });
});
