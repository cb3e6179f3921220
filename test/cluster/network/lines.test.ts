import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { buildImage } from '../../../src/cli/demo/image.ts';
import { DockerRegistry } from '../../support/docker-registry.ts';
import { needs } from '../../support/need.ts';
import type { LabHost } from '../../support/network-lab/lab-host.ts';
import { enterOwnNetwork } from '../../support/network-lab/own-network.ts';
import { pull } from '../../support/pull.ts';
import { LabCluster } from './lab-cluster.ts';

const cannot = await enterOwnNetwork();
const skip = cannot === false ? needs('redis-server', 'docker-registry') : cannot;
const near = { upBitsPerSecond: 50_000_000, downBitsPerSecond: 50_000_000 };
const far = { ...near, delayMs: 40, loss: 0.02 };
const upstreamName = 'real.example';

/** Two nodes here; two behind lines on which packets take long, and are lost. A real registry is upstream besides. */
let cluster: LabCluster;
let upstream: DockerRegistry;
let upstreamHost: LabHost;
before(async () => {
  if (skip !== false) return;
  cluster = await LabCluster.start({
    lines: [near, near, far, far],
    engineLine: { delayMs: 0 },
    upstreams: async (lab) => {
      upstreamHost = await lab.host('upstream', near);
      upstream = await DockerRegistry.start({ place: upstreamHost });
      return { [upstreamName]: { url: upstream.url } };
    },
  });
});
after(async () => {
  await upstream?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

test('nodes near and far bring a cold image from a real registry once, all at once', { skip }, async () => {
  const image = buildImage({ seed: 'cold', layerSizes: [20_000, 700_000, 3_000_000] });
  await upstream.push('org/cold', 'v1', image);
  await cluster.untilAllAreHeard();
  const before = await upstreamHost.lineBytes();
  const pulls = cluster.nodes.flatMap(({ url }) => [0, 1].map(() => pull(url, 'org/cold', 'v1', { ns: upstreamName })));
  for (const { manifest } of await Promise.all(pulls)) assert.equal(manifest, image.manifest.digest);
  for (const { digest } of image.layers) {
    const bodies = upstream.log.filter((line) => line.includes(`"GET /v2/org/cold/blobs/${digest}`));
    assert.equal(bodies.length, 1, bodies.join('\n'));
  }
  let receivedBytes = 0;
  for (const { admin } of cluster.nodes) receivedBytes += await admin.metric('onepull_upstream_bytes_total');
  assert.ok(receivedBytes <= 1.001 * image.totalBytes, `${receivedBytes} of ${image.totalBytes}`);
  // What headers and acknowledgements add is far from another copy.
  const sentBytes = (await upstreamHost.lineBytes()).sent - before.sent;
  assert.ok(sentBytes < 1.3 * image.totalBytes, `${sentBytes} of ${image.totalBytes}`);
});

test('a node on a bad line is in mid-blob when that becomes worse: all get it', { skip }, async () => {
  const host = cluster.host(2);
  const got = await cluster.inMidLayer('worse', 1_000_000, () => host.shape({ ...far, delayMs: 80, loss: 0.05 }));
  assert.deepEqual(
    got.downloads.map(({ digest }) => digest),
    cluster.nodes.map(() => got.digest),
  );
  assert.ok(got.times <= cluster.nodes.length);
  await host.shape(far);
});

test('an engine far away is waited for within its bound; beyond that each node pulls by itself', { skip }, async () => {
  await cluster.engine.shape({ delayMs: 100 });
  await cluster.assertShares('far-engine');
  // Nothing comes back within the two seconds that nodes wait.
  await cluster.engine.shape({ delayMs: 1200 });
  for (const [index, { admin }] of cluster.nodes.entries()) {
    await admin.until(
      async () => (await cluster.snapshot(index)).engine.isUp,
      (isUp) => !isUp,
    );
  }
  const image = cluster.offer('no-engine', [300_000]);
  await cluster.pullOnAll('no-engine', image);
  assert.ok(cluster.timesSent(image) <= cluster.nodes.length);
  await cluster.engine.shape({ delayMs: 0 });
  await cluster.assertShares('near-engine');
});
