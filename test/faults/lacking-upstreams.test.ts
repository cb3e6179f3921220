import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildArtifact, buildImage, type Content } from '../../src/cli/demo/image.ts';
import * as faults from '../support/faults.ts';
import { pull } from '../support/pull.ts';
import { assertKept, assertWhole, inWorld, told } from './world.ts';

const repository = 'org/app';
const image = buildImage({ seed: 'lacking', layerSizes: [300_000] });
const layer = image.layers[0] as Content;

for (const status of [405, 501]) {
  test(`an upstream that answers HEAD with ${status} is pulled from all the same`, () =>
    inWorld({ upstream: { tagTtl: '0s' } }, async (world) => {
      const { registry, client, url } = world;
      registry.content.add(repository, image, 'v1');
      registry.always({ method: 'HEAD' }, faults.status(status));
      const blob = await client.headBlob(repository, layer.digest);
      assert.deepEqual([blob.status, blob.headers['content-length']], [200, '300000']);
      await pull(url, repository, 'v1');
      await pull(url, repository, 'v1'); // the tag is checked again
      await assertKept(world, layer);
    }));
}

test('an upstream without Docker-Content-Digest, Range, lengths and HEAD is pulled from all the same', () =>
  inWorld({}, async (world) => {
    const { registry, url } = world;
    registry.content.add(repository, image, 'v1');
    registry.withoutHead();
    const poor = faults.both(faults.ignoreRange(), faults.noDigestHeader(), faults.chunked());
    registry.always({}, poor);
    await pull(url, repository, 'v1', { rangesPerBlob: 3 });
    await assertKept(world, layer);
  }));

test('an upstream without the referrers API has those that its tag scheme names, and none where there is no tag', () =>
  inWorld({}, async ({ registry, client }) => {
    const artifactType = 'application/vnd.example.signature';
    const artifact = buildArtifact({ seed: 'lacking', subject: image.manifest, artifactType, sizeBytes: 100 });
    registry.content.add(repository, image, 'v1');
    const index = JSON.parse(
      Buffer.from(registry.content.referrers(repository, image.manifest.digest, undefined)).toString(),
    );
    assert.deepEqual(index.manifests, []);
    registry.content.add(repository, artifact);
    const listed = registry.content.referrers(repository, image.manifest.digest, undefined);
    registry.withoutReferrers();
    const none = await client.get(`${repository}/referrers/${artifact.manifest.digest}`);
    assert.deepEqual([none.status, JSON.parse(none.body.toString()).manifests], [200, []]);
    registry.next(
      { kind: 'manifest', reference: image.manifest.digest.replace(':', '-') },
      faults.both(() => okIndex(listed), faults.noDigestHeader()),
    );
    const some = await client.get(`${repository}/referrers/${image.manifest.digest}`);
    assert.equal(some.status, 200);
    assert.equal(some.headers['content-type'], 'application/vnd.oci.image.index.v1+json');
    assert.deepEqual(
      JSON.parse(some.body.toString()).manifests.map(({ digest }: { digest: string }) => digest),
      [artifact.manifest.digest],
    );
  }));

test('a repository without the blob says so, however often it is known elsewhere', () =>
  inWorld({}, async ({ registry, client }) => {
    registry.content.add(repository, image, 'v1');
    registry.content.add('org/other', buildImage({ seed: 'another', layerSizes: [10] }), 'v1');
    assertWhole(await client.blob(repository, layer.digest), layer);
    assert.equal(told(await client.blob('org/other', layer.digest)), '404 BLOB_UNKNOWN');
  }));

function okIndex(body: Uint8Array) {
  const headers = {
    'content-type': 'application/vnd.oci.image.index.v1+json',
    'content-length': String(body.length),
  };
  return { status: 200, headers, body, digest: undefined, start: 0, content: undefined, stops: [] };
}
