import assert from 'node:assert/strict';
import { it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import { ociIndex, ociManifest } from '../../core/media-types.ts';
import { PreheatWorld } from '../testing/preheat-world.ts';
import { type TestManifest, testImage } from '../testing/test-image.ts';

/** A manifest of nothing, one of many. */
function empty(n: string): TestManifest {
  const document = { schemaVersion: 2, mediaType: ociManifest, layers: [], annotations: { n } };
  return manifestOf(ociManifest, document);
}

function index(manifests: readonly TestManifest[], platform: (n: number) => object | undefined): TestManifest {
  const listed = manifests.map(({ digest, mediaType, bytes }, n) => ({
    digest,
    mediaType,
    size: bytes.length,
    platform: platform(n),
  }));
  return manifestOf(ociIndex, { schemaVersion: 2, mediaType: ociIndex, manifests: listed });
}

function manifestOf(mediaType: string, document: object): TestManifest {
  const bytes = Buffer.from(JSON.stringify(document));
  return { digest: digestOf(bytes), mediaType, bytes };
}

it('a preheat of an index of indexes is bounded by what all of them list together', async () => {
  await using world = new PreheatWorld();
  const indexes = Array.from({ length: 20 }, (_, outer) => {
    const manifests = Array.from({ length: 20 }, (_, inner) => empty(`${outer}/${inner}`));
    for (const manifest of manifests) world.hub.pushManifest('library/app', manifest.digest, manifest);
    return index(manifests, () => undefined);
  });
  for (const each of indexes) world.hub.pushManifest('library/app', each.digest, each);
  world.hub.pushManifest(
    'library/app',
    'v1',
    index(indexes, () => undefined),
  );
  const ended = await world.ended(world.start());
  assert.equal(ended.state, 'failed');
  assert.match(ended.images[0]?.error ?? '', /more than 256 manifests/);
  assert.ok(world.hub.count('GET manifest') <= 257, `${world.hub.count('GET manifest')} manifests were fetched`);
  world.assertNothingLeft();
});

it('attestations, which a preheat leaves alone, do not count as manifests that it would fetch', async () => {
  await using world = new PreheatWorld();
  const images = Array.from({ length: 200 }, (_, n) => empty(`image ${n}`));
  const attestations = Array.from({ length: 200 }, (_, n) => empty(`attestation ${n}`));
  for (const manifest of images) world.hub.pushManifest('library/app', manifest.digest, manifest);
  const platform = (n: number) =>
    n < 200 ? { os: 'linux', architecture: 'arm', variant: `v${n}` } : { os: 'unknown', architecture: 'unknown' };
  world.hub.pushManifest('library/app', 'v1', index([...images, ...attestations], platform));
  const ended = await world.ended(world.start());
  assert.deepEqual([ended.state, ended.images[0]?.error, ended.images[0]?.platforms.length], ['done', undefined, 200]);
  assert.equal(world.hub.count('GET manifest'), 201);
});

it('of preheats that ended fewer are remembered where they have many layers, the latest in any case', async () => {
  await using world = new PreheatWorld({ maxEnded: 10, maxEndedLayers: 7 });
  for (const n of [1, 2, 3, 4]) world.hub.push('library/app', `v${n}`, testImage(n));
  const layers = testImage(1).blobs.length;
  assert.equal(layers, 2);
  const remembered = () => world.preheats.list().map(({ id }) => id);
  for (const n of [1, 2, 3]) await world.ended(world.start({ images: [`app:v${n}`] }));
  assert.deepEqual(remembered(), ['preheat-3', 'preheat-2', 'preheat-1']);
  await world.ended(world.start({ images: ['app:v4'] }));
  assert.deepEqual(remembered(), ['preheat-4', 'preheat-3', 'preheat-2']);
  await world.ended(world.start({ images: ['app:v1', 'app:v2', 'app:v3', 'app:v4'] }));
  assert.deepEqual(remembered(), ['preheat-5']);
  assert.equal(world.preheats.get('preheat-5')?.images.length, 4);
});
