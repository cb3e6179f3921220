import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { freePort } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { pull } from '../support/pull.ts';
import { RedisServer } from '../support/redis-server.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { secret } from './cluster-scene.ts';

const skip = needs('redis-server');
const preload = new URL('../support/wrong-clock.ts', import.meta.url).href;
const dayMs = 24 * 3_600_000;
const image = buildImage({ seed: 'wrong-clocks', layerSizes: [2_000, 4_000_000] });
const next = buildImage({ seed: 'wrong-clocks-next', layerSizes: [1_000_000] });

test('nodes whose clocks are a year apart bring an image once, and a tag moves for all of them', { skip }, async () => {
  await using opened = new AsyncDisposableStack();
  const registry = opened.use(await ScriptedRegistry.start());
  const redis = opened.use(await RedisServer.start());
  registry.content.add('org/app', image, 'v1');
  const starting = [0, 400 * dayMs, -400 * dayMs].map(async (wrongByMs, index) => {
    const configuration = {
      upstreams: { 'demo.example': { url: registry.url, default: true, tagTtl: '100ms' } },
      cluster: {
        ...{ engine: redis.url, timeout: '3s', nodeId: `node-${index}` },
        peer: { listen: `127.0.0.1:${await freePort()}`, secret },
      },
    };
    const env = wrongByMs === 0 ? {} : { NODE_OPTIONS: `--import=${preload}`, WRONG_CLOCK_MS: String(wrongByMs) };
    return opened.use(await OnepullProcess.start(configuration, { env }));
  });
  const nodes = await Promise.all(starting);
  const [, ahead] = nodes;
  const { time } = (await ahead?.logged({ event: 'listening' })) ?? {};
  assert.ok(new Date(String(time)).getTime() > Date.now() + 300 * dayMs, `its clock is right: ${time}`);

  for (const { manifest } of await Promise.all(nodes.map(({ url }) => pull(url, 'org/app', 'v1')))) {
    assert.equal(manifest, image.manifest.digest);
  }
  for (const { digest } of image.layers) {
    assert.equal(registry.tally.count({ kind: 'blob', method: 'GET', reference: digest }), 1);
  }
  assert.ok(registry.tally.bytesSent() <= 1.001 * image.totalBytes);

  registry.content.add('org/app', next, 'v1');
  for (const { url, admin } of nodes) {
    await admin.until(
      async () => (await pull(url, 'org/app', 'v1')).manifest,
      (manifest) => manifest === next.manifest.digest,
    );
  }
  for (const { digest } of next.layers) {
    assert.equal(registry.tally.count({ kind: 'blob', method: 'GET', reference: digest }), 1);
  }
});
