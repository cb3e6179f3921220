import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, buildIndex, type Content, type Image } from '../../src/cli/demo/image.ts';
import { CountingProxy } from '../support/counting-proxy.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { needs } from '../support/need.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { skopeoCopy } from '../support/skopeo.ts';
import { leavingNothing } from './scene.ts';

const skip = needs('docker-registry', 'skopeo');
const image = buildImage({ seed: 'skopeo', layerSizes: [2_000, 300_000, 4_000_000] });
const platforms = ['amd64', 'arm64', 's390x'].map((architecture) => ({ os: 'linux', architecture }));
const index = buildIndex({ seed: 'skopeo', layerSizes: [50_000, 700_000], platforms, flavour: 'docker' });

interface Parts {
  readonly upstream: CountingProxy;
  readonly onepull: OnepullApp;
}

async function beforeDockerRegistry(body: (parts: Parts) => Promise<void>): Promise<void> {
  await leavingNothing(async () => {
    await using registry = await DockerRegistry.start();
    await registry.push('org/app', 'v1', image);
    await registry.push('org/multi', 'v1', index);
    await using upstream = await CountingProxy.start(registry.url);
    await using onepull = await OnepullApp.start({
      upstreams: { 'corp.example': { url: upstream.url, default: true }, 'other.example': { url: upstream.url } },
    });
    await body({ upstream, onepull });
    await onepull.assertIdle();
  });
}

/** What skopeo writes of an image beside its manifest. */
function blobsOf({ config, layers }: Image): Content[] {
  return [config, ...layers];
}

function digests(contents: readonly Content[]): string[] {
  return contents.map(({ digest }) => digest).sort();
}

test('skopeo copies an image of several layers, cold and warm', { skip }, () =>
  beforeDockerRegistry(async ({ upstream, onepull }) => {
    for (const _ of ['cold', 'warm']) {
      const copy = await skopeoCopy(`${onepull.host}/org/app:v1`);
      assert.equal(copy.manifest, image.manifest.digest);
      assert.deepEqual([...copy.files].sort(), digests(blobsOf(image)));
    }
    for (const { digest, bytes } of [image.manifest, ...blobsOf(image)]) {
      assert.equal(upstream.tally.bytesSent(digest), bytes.length);
    }
    assert.equal(upstream.tally.count({ kind: 'blob', method: 'HEAD' }), 0);
  }),
);

test('skopeo copies every image of a multi-architecture one', { skip }, () =>
  beforeDockerRegistry(async ({ upstream, onepull }) => {
    const copy = await skopeoCopy(`${onepull.host}/org/multi:v1`, { all: true });
    assert.equal(copy.manifest, index.index.digest);
    const contents = index.images.flatMap((child) => [child.manifest, ...blobsOf(child)]);
    assert.deepEqual([...copy.files].sort(), digests(contents));
    assert.equal(upstream.tally.bytesSent(), index.totalBytes);
  }),
);

test("skopeo's mirrors in registries.conf: a path prefix names the registry", { skip }, () =>
  beforeDockerRegistry(async ({ upstream, onepull }) => {
    const registriesConf = `
      [[registry]]
      prefix = "other.example"
      location = "127.0.0.1:1"
      [[registry.mirror]]
      location = "${onepull.host}/other.example"
      insecure = true`;
    const copy = await skopeoCopy('other.example/org/app:v1', { registriesConf });
    assert.equal(copy.manifest, image.manifest.digest);
    assert.equal(upstream.tally.bytesSent(), image.totalBytes);
    const asked = () => onepull.log.filter(({ event, registry }) => event === 'request' && registry !== undefined);
    await onepull.admin.until(
      async () => asked().length,
      (lines) => lines >= 1 + copy.files.length,
    );
    assert.deepEqual([...new Set(asked().map(({ registry }) => registry))], ['other.example']);
  }),
);
