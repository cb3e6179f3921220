import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content, type Image } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import type { Download } from '../support/client.ts';
import * as faults from '../support/faults.ts';
import { untilUp } from '../support/loopback.ts';
import { assertKept, assertWhole, inWorld, told, type World } from './world.ts';

const repository = 'org/app';
const blobs = { kind: 'blob', method: 'GET' } as const;
const smallImage = buildImage({ seed: 'sizes-small', layerSizes: [60_000] });
const largeImage = buildImage({ seed: 'sizes-large', layerSizes: [1_500_000] });

/** The image with a manifest that claims another size for its layer. */
function claiming(image: Image, sizeBytes: number): Image {
  const document = JSON.parse(Buffer.from(image.manifest.bytes).toString()) as { layers: { size: number }[] };
  for (const layer of document.layers) layer.size = sizeBytes;
  const bytes = Buffer.from(JSON.stringify(document));
  return { ...image, manifest: { ...image.manifest, bytes, digest: digestOf(bytes) } };
}

async function link({ registry, client }: World, image: Image): Promise<Content> {
  registry.content.add(repository, image, 'v1');
  assert.equal((await client.manifest(repository, 'v1')).status, 200);
  return image.layers[0] as Content;
}

/** Complete means right; all else is told or cut. */
function assertHonest(download: Download, layer: Content): void {
  if (download.outcome === 'complete' && download.status === 200) assertWhole(download, layer);
  else if (download.outcome === 'complete') assert.equal(told(download), '502 DIGEST_INVALID');
}

for (const [name, image] of [
  ['small', smallImage],
  ['large', largeImage],
] as const) {
  const rightBytes = image.layers[0]?.bytes.length ?? 0;
  for (const claimedBytes of [0, 1, rightBytes - 1, rightBytes + 1, rightBytes + 1_000_000]) {
    test(`a manifest that claims ${claimedBytes} bytes for a ${name} layer of ${rightBytes} wedges nothing`, () =>
      inWorld({}, async (world) => {
        const layer = await link(world, claiming(image, claimedBytes));
        const downloads = await Promise.all(world.crowd(8).map((client) => client.blob(repository, layer.digest)));
        for (const download of downloads) assertHonest(download, layer);
        await untilWhole(world, layer);
        await assertKept(world, layer);
      }));
  }
}

for (const [name, fault] of [
  ['is shorter than it should be, and says so', faults.short(100_000)],
  ['has a Content-Length that is too large', faults.wrongLength(1_500_001)],
  ['has a Content-Length that is too small', faults.short(1_499_999)],
  ['is empty', faults.short(0)],
] as const) {
  test(`a body that ${name}, always, is an error or made good, and later pulls are right`, () =>
    inWorld({ pull: { headerTimeout: '8s' } }, async (world) => {
      const layer = await link(world, largeImage);
      const heal = world.registry.always(blobs, fault);
      const downloads = await Promise.all(world.crowd(8).map((client) => client.blob(repository, layer.digest)));
      for (const download of downloads) assert.ok(download.outcome === 'cut' || download.status === 502);
      await world.landed();
      heal();
      await untilWhole(world, layer);
      await assertKept(world, layer);
    }));
}

for (const [name, fault] of [
  ['is shorter than it should be, and says so', faults.short(100_000)],
  ['has a Content-Length that is too large', faults.wrongLength(1_500_003)],
  ['has a Content-Length that is too small', faults.short(1_499_999)],
  ['is empty', faults.short(0)],
] as const) {
  test(`a body that ${name}, twice, is noticed by no client`, () =>
    inWorld({}, async (world) => {
      const layer = await link(world, largeImage);
      world.registry.next(blobs, fault, fault);
      const downloads = await Promise.all(world.crowd(8).map((client) => client.blob(repository, layer.digest)));
      for (const download of downloads) assertWhole(download, layer);
      await assertKept(world, layer);
    }));
}

async function untilWhole({ client }: World, layer: Content): Promise<void> {
  await untilUp(async () => {
    const download = await client.blob(repository, layer.digest);
    if (download.status !== 200) return false;
    assertWhole(download, layer);
    return true;
  }, 'the right blob');
}
