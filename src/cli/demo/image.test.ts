import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { digestOf } from '../../core/digest.ts';
import { buildArtifact, buildImage, buildIndex } from './image.ts';
import { buildLayer, smallestRealLayerBytes } from './layer.ts';

test('equal seeds make equal images, other seeds other ones', () => {
  const options = { seed: 'a', layerSizes: [5000, 70_000] };
  assert.deepEqual(buildImage(options), buildImage(options));
  assert.notEqual(buildImage(options).manifest.digest, buildImage({ ...options, seed: 'b' }).manifest.digest);
});

test('every blob has the digest and the manifest the sizes it claims', () => {
  const image = buildImage({ seed: 'a', layerSizes: [0, 1, 3000, 200_000] });
  for (const content of [image.manifest, image.config, ...image.layers]) {
    assert.equal(digestOf(content.bytes), content.digest);
  }
  assert.deepEqual(
    image.layers.map((layer) => layer.bytes.length),
    [0, 1, 3000, 200_000],
  );
  const manifest = JSON.parse(Buffer.from(image.manifest.bytes).toString());
  assert.equal(manifest.layers[3].digest, image.layers[3]?.digest);
  const sizes = [manifest.config, ...manifest.layers].map((descriptor) => descriptor.size);
  assert.equal(
    image.totalBytes,
    sizes.reduce((a, b) => a + b, image.manifest.bytes.length),
  );
});

test('layers have exactly the size asked for and decompress to what the config names', () => {
  const around = (size: number) => [size - 1, size, size + 1, size + 17, size + 511, size + 600];
  for (const size of [smallestRealLayerBytes + 1, 65_535 + 2000, 2 * 65_536, 1_000_000].flatMap(around)) {
    const layer = buildLayer('seed', 'name', size);
    assert.equal(layer.bytes.length, size);
    assert.equal(digestOf(gunzipSync(layer.bytes)), layer.diffId, `layer of ${size} bytes`);
  }
});

test('tar unpacks a layer', () => {
  const { bytes } = buildLayer('seed', 'payload', 100_000);
  const listed = spawnSync('tar', ['-tzf', '-'], { input: bytes });
  assert.equal(listed.stdout.toString(), 'data/payload.bin\n');
});

test('an index has one image for each platform, an artifact refers to its subject', () => {
  const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
  const { index, images } = buildIndex({ seed: 'a', layerSizes: [3000], platforms, flavour: 'docker' });
  const { manifests } = JSON.parse(Buffer.from(index.bytes).toString());
  assert.deepEqual(
    manifests.map((manifest: { digest: string }) => manifest.digest),
    images.map((image) => image.manifest.digest),
  );
  const artifact = buildArtifact({ seed: 'a', subject: index, artifactType: 'application/spdx+json', sizeBytes: 100 });
  assert.equal(JSON.parse(Buffer.from(artifact.manifest.bytes).toString()).subject.digest, index.digest);
});
