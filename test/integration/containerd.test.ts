import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, buildIndex } from '../../src/cli/demo/image.ts';
import { Containerd } from '../support/containerd.ts';
import { needs } from '../support/need.ts';
import { inScene } from './scene.ts';

const skip = needs('containerd', 'ctr');

test('containerd pulls through a mirror in hosts.toml, which names the registry by ns', { skip }, () =>
  inScene({}, async ({ registry, onepull }) => {
    const image = buildImage({ seed: 'containerd', layerSizes: [3_000, 200_000, 2_000_000] });
    registry.content.add('org/app', image, 'v1');
    for (const _ of ['cold', 'warm']) {
      await using containerd = await Containerd.start();
      await containerd.mirror('demo.example', onepull.url);
      await containerd.pull('demo.example/org/app:v1');
      assert.equal((await containerd.images()).get('demo.example/org/app:v1'), image.manifest.digest);
    }
    assert.equal(registry.tally.bytesSent(), image.totalBytes);
    assert.equal(registry.tally.count({ kind: 'blob', method: 'HEAD' }), 0);
    const asked = () => onepull.log.filter(({ event }) => event === 'request');
    await onepull.admin.until(
      async () => asked().length,
      (lines) => lines > image.layers.length,
    );
    assert.ok(asked().every(({ path }) => String(path).endsWith('?ns=demo.example')));
  }),
);

test('containerd pulls all platforms of an image', { skip }, () =>
  inScene({}, async ({ registry, onepull }) => {
    const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
    const index = buildIndex({ seed: 'containerd', layerSizes: [100_000, 300_000], platforms });
    registry.content.add('library/multi', index, 'v1');
    await using containerd = await Containerd.start();
    await containerd.mirror('demo.example', onepull.url);
    await containerd.pull('demo.example/library/multi:v1', { allPlatforms: true });
    assert.equal((await containerd.images()).get('demo.example/library/multi:v1'), index.index.digest);
    assert.equal(registry.tally.bytesSent(), index.totalBytes);
  }),
);
