import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, buildIndex } from '../../src/cli/demo/image.ts';
import { PullClient } from './client.ts';
import { CountingProxy } from './counting-proxy.ts';
import { DockerRegistry } from './docker-registry.ts';
import { Leaks } from './leaks.ts';
import { needs } from './need.ts';
import { pull } from './pull.ts';
import { skopeoCopy } from './skopeo.ts';
import { TokenServer } from './token-server.ts';

const image = buildImage({ seed: 'real', layerSizes: [10_000, 200_000] });
const credentials = { username: 'user', password: 'secret' };
const skip = needs('docker-registry');

test('the real skopeo copies what was pushed to the real registry, counted on the way', {
  skip: needs('docker-registry', 'skopeo'),
}, async () => {
  const leaks = await Leaks.watch();
  {
    await using registry = await DockerRegistry.start();
    await using proxy = await CountingProxy.start(registry.url);
    const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
    const index = buildIndex({ seed: 'real', layerSizes: [10_000], platforms });
    await registry.push('org/app', 'v1', image);
    await registry.push('org/multi', 'v1', index);
    assert.equal((await skopeoCopy(`${proxy.host}/org/app:v1`)).manifest, image.manifest.digest);
    for (const blob of [image.config, ...image.layers]) {
      assert.equal(proxy.tally.bytesSent(blob.digest), blob.bytes.length);
      assert.equal(proxy.tally.count({ kind: 'blob', method: 'GET', reference: blob.digest }), 1);
    }
    const copy = await skopeoCopy(`${registry.host}/org/multi:v1`, { all: true });
    assert.equal(copy.manifest, index.index.digest);
  }
  await leaks.assertNone();
});

test('basic authentication', { skip: skip || needs('htpasswd') }, async () => {
  await using registry = await DockerRegistry.start({ auth: { kind: 'basic', ...credentials } });
  await registry.push('app', 'v1', image);
  await using stranger = new PullClient(registry.url);
  assert.equal((await stranger.manifest('app', 'v1')).status, 401);
  assert.equal((await pull(registry.url, 'app', 'v1', { credentials })).totalBytes, image.totalBytes);
});

test('tokens from a realm of its own', { skip: skip || needs('openssl') }, async () => {
  await using tokens = await TokenServer.start({ credentials });
  await using registry = await DockerRegistry.start({ tokens, pushAs: credentials });
  await registry.push('org/app', 'v1', image);
  await using stranger = new PullClient(registry.url);
  assert.equal((await stranger.manifest('org/app', 'v1')).status, 401);
  const before = tokens.granted;
  assert.equal((await pull(registry.url, 'org/app', 'v1', { credentials })).totalBytes, image.totalBytes);
  assert.equal(tokens.granted, before + 1);
});

test("Distribution's own proxy mode, a Range and a cut in front of the real registry", { skip }, async () => {
  await using registry = await DockerRegistry.start();
  await registry.push('org/app', 'v1', image);
  await using upstream = await CountingProxy.start(registry.url);
  await using cache = await DockerRegistry.start({ proxyOf: { url: upstream.url } });
  assert.equal((await pull(cache.url, 'org/app', 'v1')).totalBytes, image.totalBytes);
  assert.ok(upstream.tally.bytesSent() >= image.totalBytes);

  const digest = image.layers[1]?.digest ?? '';
  await using client = new PullClient(upstream.url);
  const part = await client.blob('org/app', digest, { range: { start: 1000, end: 3000 } });
  assert.deepEqual([part.status, part.sizeBytes], [206, 2000]);
  assert.equal(upstream.tally.bodies(image.layers[1]?.digest ?? image.config.digest).at(-1)?.start, 1000);
  await upstream.goAway();
  await assert.rejects(client.blob('org/app', digest), /ECONNREFUSED|socket hang up/);
  await upstream.comeBack();
  assert.equal((await client.blob('org/app', digest)).digest, digest);
});
