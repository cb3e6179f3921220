import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, buildIndex } from '../../src/cli/demo/image.ts';
import { needs } from '../support/need.ts';
import { Podman } from '../support/podman.ts';
import { inScene } from './scene.ts';

const skip = needs('podman');

test('podman pulls through a mirror in registries.conf and unpacks the image', { skip }, () =>
  inScene({}, async ({ registry, onepull }) => {
    const image = buildImage({ seed: 'podman', layerSizes: [3_000, 200_000, 2_000_000] });
    registry.content.add('org/app', image, 'v1');
    const mirror = { location: `${onepull.host}/demo.example`, insecure: true };
    const registriesConf = `[[registry]]
      location = "demo.example"
      [[registry.mirror]]
      location = "${mirror.location}"
      insecure = ${mirror.insecure}`;
    for (const _ of ['cold', 'warm']) {
      await using podman = await Podman.make(registriesConf);
      await podman.pull('demo.example/org/app:v1');
      assert.equal(await podman.digestOf('demo.example/org/app:v1'), image.manifest.digest);
    }
    assert.equal(registry.tally.bytesSent(), image.totalBytes);
  }),
);

test('podman picks its platform of a multi-architecture image; nothing of the others is fetched', { skip }, () =>
  inScene({}, async ({ registry, onepull }) => {
    const architectures = ['amd64', 'arm64', 'ppc64le'];
    const platforms = architectures.map((architecture) => ({ os: 'linux', architecture }));
    const index = buildIndex({ seed: 'podman', layerSizes: [100_000, 300_000], platforms });
    registry.content.add('org/multi', index, 'v1');
    await using podman = await Podman.make(`[[registry]]\nlocation = "${onepull.host}"\ninsecure = true\n`);
    await podman.pull(`${onepull.host}/org/multi:v1`);
    const pulled = index.images.filter(({ layers }) =>
      layers.some(({ digest }) => registry.tally.bytesSent(digest) > 0),
    );
    assert.equal(pulled.length, 1);
    assert.equal(registry.tally.bytesSent(), index.index.bytes.length + (pulled[0]?.totalBytes ?? 0));
  }),
);
