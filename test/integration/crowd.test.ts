import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { CountingProxy } from '../support/counting-proxy.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { needs } from '../support/need.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { skopeoCopy } from '../support/skopeo.ts';
import { leavingNothing } from './scene.ts';

const image = buildImage({ seed: 'crowd', layerSizes: [1_000, 250_000, 600_000, 2_500_000] });
const skip = needs('docker-registry');

// Every child listens for this process's end.
process.setMaxListeners(100);

/** One cold image behind a real registry, pulled by everybody at once: what may it cost upstream? */
async function costsOnePull(crowd: (onepull: OnepullApp) => Promise<unknown>): Promise<void> {
  await leavingNothing(async () => {
    await using registry = await DockerRegistry.start();
    await registry.push('org/app', 'v1', image);
    await using upstream = await CountingProxy.start(registry.url);
    await using onepull = await OnepullApp.start({ upstreams: { 'corp.example': { url: upstream.url } } });
    await crowd(onepull);
    assertOnePull(upstream);
    await onepull.assertIdle();
  });
}

function assertOnePull({ tally }: CountingProxy): void {
  for (const { digest } of [image.config, ...image.layers]) {
    assert.equal(tally.count({ kind: 'blob', method: 'GET', reference: digest }), 1, `bodies of ${digest}`);
  }
  assert.equal(tally.count({ kind: 'blob', method: 'HEAD' }), 0);
  for (const reference of ['v1', image.manifest.digest]) {
    for (const method of ['GET', 'HEAD']) {
      const asked = tally.count({ kind: 'manifest', method, reference });
      assert.ok(asked <= 1, `${method} of manifest ${reference}: ${asked} times`);
    }
  }
  const ratio = tally.bytesSent() / image.totalBytes;
  assert.ok(ratio >= 1 && ratio <= 1.001, `${ratio} times the bytes of the image`);
}

test('32 skopeos at once cost upstream one pull', { skip: skip || needs('skopeo') }, () =>
  costsOnePull(async (onepull) => {
    const copies = await Promise.all(Array.from({ length: 32 }, () => skopeoCopy(`${onepull.host}/org/app:v1`)));
    for (const copy of copies) assert.equal(copy.manifest, image.manifest.digest);
  }),
);

for (const clients of [64, 256]) {
  test(`${clients} clients at once cost upstream one pull`, { skip }, () =>
    costsOnePull(async (onepull) => {
      const expected = image.layers;
      const pulls = Array.from({ length: clients }, () => pull(onepull.url, 'org/app', 'v1', { expected }));
      for (const { totalBytes } of await Promise.all(pulls)) assert.equal(totalBytes, image.totalBytes);
    }),
  );
}

test('64 clients with every layer in parallel ranges cost upstream one pull', { skip }, () =>
  leavingNothing(async () => {
    await using registry = await DockerRegistry.start();
    await registry.push('org/app', 'v1', image);
    await using upstream = await CountingProxy.start(registry.url);
    await using onepull = await OnepullApp.start({ upstreams: { 'corp.example': { url: upstream.url } } });
    const pulls = Array.from({ length: 64 }, () => pull(onepull.url, 'org/app', 'v1', { rangesPerBlob: 4 }));
    for (const { totalBytes } of await Promise.all(pulls)) assert.equal(totalBytes, image.totalBytes);
    assert.equal(upstream.tally.bytesSent(), image.totalBytes);
    await onepull.assertIdle();
  }),
);
