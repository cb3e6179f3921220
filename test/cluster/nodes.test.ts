import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { Leaks } from '../support/leaks.ts';
import { needs } from '../support/need.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { RedisServer } from '../support/redis-server.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';

const skip = needs('redis-server');
const image = buildImage({ seed: 'nodes', layerSizes: [3_000, 300_000, 5_000_000, 2_000_000] });
const secret = 'a secret of tests only';

interface Nodes {
  readonly registry: ScriptedRegistry;
  readonly redis: RedisServer;
  readonly nodes: readonly OnepullApp[];
}

async function withNodes(count: number, body: (nodes: Nodes) => Promise<void>): Promise<void> {
  const leaks = await Leaks.watch();
  {
    await using registry = await ScriptedRegistry.start();
    await using redis = await RedisServer.start();
    await using opened = new AsyncDisposableStack();
    const nodes: OnepullApp[] = [];
    for (let index = 0; index < count; index++) {
      const node = await OnepullApp.start({
        upstreams: { 'demo.example': { url: registry.url, default: true } },
        cluster: { engine: redis.url, nodeId: `node-${index}`, peer: { listen: '127.0.0.1:0', secret } },
      });
      nodes.push(opened.use(node));
    }
    registry.content.add('org/app', image, 'v1');
    await body({ registry, redis, nodes });
    for (const node of nodes) await node.assertIdle();
  }
  await leaks.assertNone();
}

test('4 nodes with 16 clients each bring an image from upstream once', { skip }, () =>
  withNodes(4, async ({ registry, nodes }) => {
    const pulls = nodes.flatMap(({ url }) => Array.from({ length: 16 }, () => pull(url, 'org/app', 'v1')));
    for (const pulled of await Promise.all(pulls)) assert.equal(pulled.manifest, image.manifest.digest);
    for (const layer of image.layers) {
      assert.equal(registry.tally.count({ kind: 'blob', method: 'GET', reference: layer.digest }), 1, layer.digest);
    }
    assert.equal(registry.tally.bytesSent(), image.totalBytes);
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'GET' }), 1);
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'HEAD' }), 1);
  }),
);
