import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { buildImage, type Content, type Image } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import { Layout } from '../../src/store/fs/layout.ts';
import { Gate } from '../support/gate.ts';
import { pull } from '../support/pull.ts';
import { inScene, type Scene } from './scene.ts';

const mebibyte = 1024 * 1024;
const configuration = { storage: { maxSize: '20MiB', scrubRate: '0' } };

function imageOf(seed: string, ...layerMebibytes: readonly number[]): Image {
  return buildImage({ seed, layerSizes: layerMebibytes.map((size) => size * mebibyte) });
}

/** `image` with a further first layer, as if both were built on it. */
function onBase(image: Image, base: Content): Image {
  const manifest = JSON.parse(Buffer.from(image.manifest.bytes).toString());
  manifest.layers.unshift({ mediaType: base.mediaType, digest: base.digest, size: base.bytes.length });
  const bytes = Buffer.from(JSON.stringify(manifest));
  const layers = [base, ...image.layers];
  const totalBytes = image.totalBytes + base.bytes.length + bytes.length - image.manifest.bytes.length;
  return { ...image, manifest: { ...image.manifest, bytes, digest: digestOf(bytes) }, layers, totalBytes };
}

async function pullAll({ registry, onepull }: Scene, images: Readonly<Record<string, Image>>): Promise<void> {
  for (const [name, image] of Object.entries(images)) {
    registry.content.add('org/app', image, name);
    await pull(onepull.url, 'org/app', name);
    await onepull.assertIdle();
  }
}

/** The layers of `image` that are on disk. */
async function storedLayers({ onepull }: Scene, image: Image): Promise<number> {
  const stored = new Set(await readdir(new Layout(onepull.dataFolder).blobFolder('sha256')));
  return image.layers.filter(({ digest }) => stored.has(digest.replace('sha256:', ''))).length;
}

async function untilEvicted(scene: Scene, image: Image, layersLeft: number): Promise<void> {
  await scene.onepull.admin.until(
    () => storedLayers(scene, image),
    (stored) => stored === layersLeft,
  );
}

test('the image that was not used for longest leaves, with all its layers; the others stay', () =>
  inScene({ configuration }, async (scene) => {
    const [first, second, third] = [imageOf('first', 3, 4), imageOf('second', 3, 4), imageOf('third', 3, 4)];
    await pullAll(scene, { first, second });
    await pull(scene.onepull.url, 'org/app', 'first');
    await pullAll(scene, { third });
    await untilEvicted(scene, second, 0);
    assert.deepEqual([await storedLayers(scene, first), await storedLayers(scene, third)], [2, 2]);
    assert.ok((await scene.onepull.admin.metric('onepull_cache_size_bytes')) <= 20 * mebibyte);
    assert.ok((await scene.onepull.admin.metric('onepull_evicted_blobs_total')) >= 2);
  }));

test('an image that left can be pulled again', () =>
  inScene({ configuration }, async (scene) => {
    const [first, second, third] = [imageOf('first', 7), imageOf('second', 7), imageOf('third', 7)];
    await pullAll(scene, { first, second, third });
    await untilEvicted(scene, first, 0);
    scene.registry.tally.reset();
    const { manifest, totalBytes } = await pull(scene.onepull.url, 'org/app', 'first');
    assert.deepEqual([manifest, totalBytes], [first.manifest.digest, first.totalBytes]);
    assert.equal(scene.registry.tally.bytesSent(first.layers[0]?.digest), 7 * mebibyte);
    await untilEvicted(scene, second, 0);
  }));

test('a layer that an image which stays shares is spared', () =>
  inScene({ configuration }, async (scene) => {
    const base = imageOf('base', 5).layers[0] as Content;
    const [old, kept, next] = [onBase(imageOf('old', 4), base), onBase(imageOf('kept', 4), base), imageOf('next', 8)];
    await pullAll(scene, { old, kept, next });
    await untilEvicted(scene, old, 1);
    assert.equal(await storedLayers(scene, kept), 2);
    scene.registry.tally.reset();
    assert.equal((await pull(scene.onepull.url, 'org/app', 'kept')).totalBytes, kept.totalBytes);
    assert.equal(scene.registry.tally.bytesSent(), 0);
  }));

test('a layer that is being read is spared until its reader has it', () =>
  inScene({ configuration }, async (scene) => {
    const { onepull, client } = scene;
    const [read, other, next] = [imageOf('read', 9), imageOf('other', 5), imageOf('next', 9)];
    await pullAll(scene, { read, other });
    // `read` is the older one, but somebody is in the middle of it.
    const layer = read.layers[0] as Content;
    const gate = new Gate();
    const reading = client.blob('org/app', layer.digest, { pauseAt: { afterBytes: 1, gate } });
    await gate.reached;
    await pull(onepull.url, 'org/app', 'other');
    scene.registry.content.add('org/app', next, 'next');
    await pull(onepull.url, 'org/app', 'next');
    await untilEvicted(scene, other, 0);
    assert.equal(await storedLayers(scene, read), 1);
    gate.release();
    assert.equal((await reading).digest, layer.digest);
  }));
