import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildArtifact, buildImage, buildIndex, type Content } from '../../src/cli/demo/image.ts';
import { DemoRegistry } from '../../src/cli/demo/registry.ts';
import { PullClient } from './client.ts';
import { Gate } from './gate.ts';
import { Leaks } from './leaks.ts';
import { needs } from './need.ts';
import { pull } from './pull.ts';
import { skopeoCopy, skopeoInspect } from './skopeo.ts';

const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
const credentials = { username: 'user', password: 'secret' };

test('many clients at once get every byte right and leave nothing open', async () => {
  const leaks = await Leaks.watch();
  const image = buildImage({ seed: 'many', layerSizes: [50_000, 120_000] });
  {
    await using registry = await DemoRegistry.start();
    registry.content.add('app', image, 'v1');
    const pulls = await Promise.all(Array.from({ length: 200 }, () => pull(registry.url, 'app', 'v1')));
    for (const { totalBytes } of pulls) assert.equal(totalBytes, image.totalBytes);
    assert.equal(registry.tally.bytesSent(), 200 * image.totalBytes);
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'HEAD' }), 200);
    assert.equal(registry.tally.concurrency(image.layers[0]?.digest ?? image.config.digest).current, 0);
  }
  await leaks.assertNone();
});

test('ranges, tags in pages, referrers', async () => {
  const index = buildIndex({ seed: 'pages', layerSizes: [3000], platforms });
  const sbom = buildArtifact({ seed: 's', subject: index.index, artifactType: 'application/spdx+json', sizeBytes: 50 });
  await using registry = await DemoRegistry.start();
  registry.content.add('org/app', index, 'a', 'b', 'c');
  registry.content.add('org/app', sbom);
  await using client = new PullClient(registry.url);
  const layer = index.images[0]?.layers[0] as Content;
  const part = await client.blob('org/app', layer.digest, { range: { start: 10, end: 20 } });
  assert.deepEqual([part.status, part.sizeBytes, part.headers['content-range']], [206, 10, 'bytes 10-19/3000']);
  assert.equal((await client.blob('org/app', layer.digest, { range: { start: 3000 } })).status, 416);
  assert.equal((await client.blob('org/other', layer.digest)).status, 404);
  const tags = await client.get('org/app/tags/list?n=2');
  assert.deepEqual(JSON.parse(tags.body.toString()).tags, ['a', 'b']);
  assert.match(String(tags.headers.link), /<\/v2\/org\/app\/tags\/list\?n=2&last=b>; rel="next"/);
  const { manifests } = JSON.parse((await client.get(`org/app/referrers/${index.index.digest}`)).body.toString());
  assert.deepEqual([manifests.length, manifests[0].digest], [1, sbom.manifest.digest]);
  const none = await client.get(`org/app/referrers/${index.index.digest}?artifactType=x`);
  assert.equal(none.headers['oci-filters-applied'], 'artifactType');
});

test('tokens are wanted, good for one repository, and can be revoked', async () => {
  const image = buildImage({ seed: 'tokens', layerSizes: [3000] });
  await using registry = await DemoRegistry.start({ auth: { kind: 'token', credentials } });
  registry.content.add('org/app', image, 'v1');
  await using stranger = new PullClient(registry.url);
  assert.equal((await stranger.manifest('org/app', 'v1')).status, 401);
  await using client = new PullClient(registry.url, { credentials });
  assert.equal((await client.manifest('org/app', 'v1')).status, 200);
  assert.equal((await client.blob('org/app', image.config.digest)).status, 200);
  assert.equal(registry.tally.count({ kind: 'token', status: 200 }), 1);
  registry.revokeTokens();
  assert.equal((await client.blob('org/app', image.config.digest)).status, 200);
  assert.equal(registry.tally.count({ kind: 'token', status: 200 }), 2);
});

test('all connections share one line, whoever does not read leaves it to the others', async () => {
  const bytesPerSecond = 20_000_000;
  const image = buildImage({ seed: 'line', layerSizes: [16_000_000, 4_000_000] });
  const [big, small] = image.layers as [Content, Content];
  await using registry = await DemoRegistry.start({ bytesPerSecond });
  registry.content.add('app', image);
  await using client = new PullClient(registry.url);
  const gate = new Gate();
  const stopped = new AbortController();
  const idle = client.blob('app', big.digest, { pauseAt: { afterBytes: 1, gate }, signal: stopped.signal });
  await gate.reached;
  const before = registry.tally.bytesSent();
  const startedAt = performance.now();
  await Promise.all([1, 2].map(() => client.blob('app', small.digest)));
  const speed = ((registry.tally.bytesSent() - before) / (performance.now() - startedAt)) * 1000;
  assert.ok(speed > bytesPerSecond * 0.8 && speed < bytesPerSecond * 1.1, `${Math.round(speed)} bytes/s`);
  stopped.abort();
  gate.release();
  assert.equal((await idle).outcome, 'left');
  await registry.tally.until((tally) => tally.concurrency(big.digest).current === 0);
});

test('ranges put together, a paced client and one that leaves', async () => {
  const image = buildImage({ seed: 'client', layerSizes: [500_000] });
  const layer = image.layers[0] as Content;
  await using registry = await DemoRegistry.start();
  registry.content.add('app', image, 'v1');
  const { downloads } = await pull(registry.url, 'app', 'v1', { rangesPerBlob: 4 });
  assert.equal(downloads.at(-1)?.digest, layer.digest);
  assert.equal(registry.tally.bodies(layer.digest).length, 4);
  assert.equal(registry.tally.repeatedBytes(layer.digest), 0);
  await using client = new PullClient(registry.url);
  const paced = await client.blob('app', layer.digest, { paceBytesPerSecond: 5_000_000 });
  assert.ok(paced.totalMs >= 90, `${paced.totalMs} ms for 500 kB at 5 MB/s`);
  const left = await client.blob('app', layer.digest, { leaveAfterBytes: 1 });
  assert.equal(left.outcome, 'left');
  assert.ok(left.sizeBytes < layer.bytes.length);
});

test('the real skopeo copies an image and an index', { skip: needs('skopeo') }, async () => {
  const image = buildImage({ seed: 'skopeo', layerSizes: [20_000], flavour: 'docker' });
  const index = buildIndex({ seed: 'skopeo', layerSizes: [3000, 100_000], platforms });
  await using registry = await DemoRegistry.start({ auth: { kind: 'token', credentials } });
  registry.content.add('org/app', image, 'v1');
  registry.content.add('org/multi', index, 'v1');
  const copy = await skopeoCopy(`${registry.host}/org/app:v1`, { credentials });
  assert.equal(copy.manifest, image.manifest.digest);
  assert.deepEqual(new Set(copy.files), new Set([image.config.digest, image.layers[0]?.digest]));
  const all = await skopeoCopy(`${registry.host}/org/multi:v1`, { credentials, all: true });
  assert.equal(all.manifest, index.index.digest);
  assert.equal(all.files.length, 2 * 4);
  const inspected = await skopeoInspect(`${registry.host}/org/app:v1`, { credentials });
  assert.equal(inspected.Digest, image.manifest.digest);
});
