import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { needs } from '../support/need.ts';
import { pull } from '../support/pull.ts';
import { RedisServer } from '../support/redis-server.ts';
import { type ClusterScene, clusterOf, inCluster, untilAllAreHeard } from './cluster-scene.ts';

const skip = needs('redis-server', 'redis-cli');
const image = buildImage({ seed: 'engine-faults', layerSizes: [3_000, 4_000_000] });
const [, large] = image.layers;
assert.ok(large);

/** What all nodes are in the middle of when something happens to the engine. Returns how often upstream sent the layer. */
async function inMidPull({ registry, nodes }: ClusterScene, meanwhile: () => Promise<void>): Promise<number> {
  registry.content.add('org/app', image, 'v1');
  const hold = registry.hold(large?.digest ?? image.config.digest, 2_000_000);
  const pulls = nodes.map(({ url }) => pull(url, 'org/app', 'v1'));
  try {
    await hold.reached;
    for (const node of nodes) {
      await node.admin.until(
        async () => (await clusterOf(node)).cluster.shares.find(({ digest }) => digest === large?.digest),
        (share) => share?.leads === true || (share?.parents.length ?? 0) > 0,
      );
    }
    await meanwhile();
  } finally {
    hold.release();
  }
  for (const { manifest } of await Promise.all(pulls)) assert.equal(manifest, image.manifest.digest);
  return registry.tally.bytesSent(large?.digest) / (large?.bytes.length ?? 1);
}

/** All nodes bring a new image, from upstream once. */
async function assertShare({ registry, nodes }: ClusterScene): Promise<void> {
  await untilAllAreHeard(nodes);
  const later = buildImage({ seed: 'later', layerSizes: [400_000] });
  registry.content.add('org/later', later, 'v1');
  registry.tally.reset();
  await Promise.all(nodes.map(({ url }) => pull(url, 'org/later', 'v1')));
  assert.equal(registry.tally.bytesSent(), later.totalBytes);
}

async function untilEngineIs(isUp: boolean, { nodes }: ClusterScene): Promise<void> {
  for (const node of nodes) {
    await node.admin.until(
      async () => (await clusterOf(node)).cluster.engine.isUp,
      (is) => is === isUp,
    );
  }
}

test(
  'an engine that is full in mid-pull, and lets nobody write, fails nothing; with room nodes share again',
  { skip },
  () =>
    inCluster({ nodes: 3 }, async (scene) => {
      const { engine, nodes, registry } = scene;
      await untilAllAreHeard(nodes);
      const times = await inMidPull(scene, async () => {
        await engine.ask('config', 'set', 'maxmemory', '1');
        await untilEngineIs(false, scene);
        for (const node of nodes) assert.match((await clusterOf(node)).cluster.engine.error ?? '', /OOM/);
      });
      assert.ok(times <= nodes.length, `${times}`);
      const alone = buildImage({ seed: 'alone', layerSizes: [300_000] });
      registry.content.add('org/alone', alone, 'v1');
      registry.tally.reset();
      await Promise.all(nodes.map(({ url }) => pull(url, 'org/alone', 'v1')));
      assert.ok(registry.tally.bytesSent() <= nodes.length * alone.totalBytes);
      await engine.ask('config', 'set', 'maxmemory', '0');
      await assertShare(scene);
    }),
);

test('an engine that hangs in mid-pull fails nothing; when it goes on nodes share again', { skip }, () =>
  inCluster({ nodes: 3, configuration: () => ({ cluster: { timeout: '500ms' } }) }, async (scene) => {
    const times = await inMidPull(scene, async () => {
      scene.engine.signal('SIGSTOP');
      await untilEngineIs(false, scene);
    });
    assert.ok(times <= scene.nodes.length, `${times}`);
    scene.engine.signal('SIGCONT');
    await assertShare(scene);
  }),
);

test('an engine that forgets everything in mid-pull costs nothing', { skip }, () =>
  inCluster({ nodes: 3 }, async (scene) => {
    const times = await inMidPull(scene, async () => {
      await scene.engine.ask('flushall');
      await untilAllAreHeard(scene.nodes);
    });
    assert.equal(times, 1);
    await assertShare(scene);
  }),
);

test('a replica that lacks the last writes takes the place of its primary in mid-pull: nothing fails', { skip }, () =>
  inCluster({ nodes: 3 }, async (scene) => {
    const { nodes, engine } = scene;
    await untilAllAreHeard(nodes);
    await using replica = await RedisServer.start();
    await replica.ask('replicaof', '127.0.0.1', String(engine.port));
    const [node] = nodes;
    assert.ok(node);
    await node.admin.until(
      () => replica.ask('info', 'replication'),
      (said) => said.includes('master_link_status:up'),
    );
    // From here on it hears of nothing: who leads and who has what is lost with the primary.
    await replica.ask('replicaof', 'no', 'one');
    const times = await inMidPull(scene, async () => {
      await scene.stopEngine();
      await untilEngineIs(false, scene);
      await replica.ask('config', 'set', 'port', String(engine.port));
      await untilAllAreHeard(nodes);
    });
    assert.ok(times <= nodes.length, `${times}`);
    await assertShare(scene);
  }),
);

test('an engine that believes in a leader and in holders that are gone costs a moment', { skip }, () =>
  inCluster({ nodes: 3 }, async (scene) => {
    const { nodes, engine, registry } = scene;
    registry.content.add('org/app', image, 'v1');
    await untilAllAreHeard(nodes);
    const key = (name: string) => `onepull:{${large?.digest}}:${name}`;
    const size = String(large?.bytes.length);
    const facts = { z: '', a: 'http://127.0.0.1:9', v: '1', s: size, f: '', u: Date.now() + 3_600_000 };
    await engine.ask('set', key('lease'), 'ghost#1 token', 'px', '600000');
    await engine.ask('hset', key('holders'), 'ghost#1', JSON.stringify({ ...facts, p: 5000, c: 0 }));
    await engine.ask('hset', key('holders'), 'ghost#2', JSON.stringify({ ...facts, p: Number(size), c: 1 }));
    for (const { manifest } of await Promise.all(nodes.map(({ url }) => pull(url, 'org/app', 'v1')))) {
      assert.equal(manifest, image.manifest.digest);
    }
    assert.equal(registry.tally.count({ kind: 'blob', method: 'GET', reference: large?.digest ?? '' }), 1);
  }),
);
