import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import type { Coordinator, NodeFacts } from '../../src/cluster/coordinator.ts';
import { RedisCoordinator } from '../../src/cluster/redis/redis-coordinator.ts';
import { RedisEngine } from '../../src/cluster/redis/redis-engine.ts';
import { coordinatorSuite, suiteOptions } from '../../src/cluster/testing/coordinator-suite.ts';
import { systemClock } from '../../src/core/clock.ts';
import { engineAddress } from '../../src/core/engine-address.ts';
import { Channels } from '../../src/telemetry/channels.ts';
import { needs } from '../support/need.ts';
import { pull } from '../support/pull.ts';
import { RedisClusterServers } from '../support/redis-cluster.ts';
import { clusterOf, inCluster, untilAllAreHeard } from './cluster-scene.ts';

const skip = needs('redis-server', 'redis-cli');
const layerSizes = [1_000, 2_000, 3_000, 4_000, 5_000, 400_000];
let shared: RedisClusterServers | undefined;
let runs = 0;

before(async () => {
  const lines = ['cluster-require-full-coverage no', `user onepull on >right ${documentedRule()}`];
  if (skip === false) shared = await RedisClusterServers.start({ lines });
});
after(() => shared?.[Symbol.asyncDispose]());

/** What docs/CLUSTER.md says that a user of a Redis Cluster needs. */
function documentedRule(): string {
  const page = readFileSync(new URL('../../docs/CLUSTER.md', import.meta.url), 'utf8');
  const [, rule] = /^ {4}user onepull on >PASSWORD (~onepull:\S+ .*)$/m.exec(page) ?? [];
  const [, more] = /in a Redis Cluster `([^`]+)`/.exec(page) ?? [];
  assert.ok(rule && more);
  return `${rule} ${more}`;
}

/** Nodes on the one Redis Cluster, with keys that no other test uses. */
class Nodes implements AsyncDisposable {
  readonly #prefix = `test-${++runs}`;
  readonly #opened = new AsyncDisposableStack();

  join(node: NodeFacts): Coordinator {
    const address = engineAddress(shared?.url ?? '');
    assert.ok(typeof address !== 'string');
    const deps = { clock: systemClock, channels: new Channels() };
    const engine = this.#opened.use(new RedisEngine(deps, { address, timeoutMs: 10_000, restMs: 0 }));
    return this.#opened.use(new RedisCoordinator(engine, node, { ...suiteOptions, prefix: this.#prefix }));
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }
}

coordinatorSuite('coordinator in Redis Cluster', async () => new Nodes(), { skip });

test('nodes share a Redis Cluster with as few rights as can be; what is known of one blob is on one server', {
  skip,
}, () => {
  const engine = shared?.url.replace('://', '://onepull:right@');
  const image = buildImage({ seed: 'redis-cluster', layerSizes });
  return inCluster(
    { nodes: 2, late: true, configuration: () => ({ cluster: { engine } }) },
    async ({ registry, nodes }) => {
      await untilAllAreHeard(nodes);
      registry.content.add('org/app', image, 'v1');
      await Promise.all(nodes.map(({ url }) => pull(url, 'org/app', 'v1')));
      assert.equal(registry.tally.bytesSent(), image.totalBytes);
      for (const server of shared?.servers ?? []) assert.equal(await server.ask('acl', 'log'), '');
      const keysOf = async (server: RedisClusterServers['servers'][number]) =>
        (await server.ask('--scan', '--pattern', 'onepull:*')).split('\n').filter((key) => key !== '');
      const keys = await Promise.all((shared?.servers ?? []).map(keysOf));
      assert.ok(
        keys.every((some) => some.length > 0),
        'every server has some',
      );
      const tags = keys.map((some) => new Set(some.map((key) => /\{(.*?)\}/.exec(key)?.[1])));
      const all = tags.flatMap((some) => [...some]);
      assert.equal(new Set(all).size, all.length, 'none has what another one has');
    },
  );
});

test('a primary dies: its replica takes over, and nodes share as before', { skip }, async () => {
  await using servers = await RedisClusterServers.start({ replicas: 1, lines: ['cluster-node-timeout 1500'] });
  const [first, second, third] = ['first', 'second', 'third'].map((seed) => buildImage({ seed, layerSizes }));
  assert.ok(first && second && third);
  await inCluster(
    { nodes: 2, late: true, configuration: () => ({ cluster: { engine: servers.url } }) },
    async ({ registry, nodes }) => {
      const pullAll = (name: string) => Promise.all(nodes.map(({ url }) => pull(url, `org/${name}`, 'v1')));
      await untilAllAreHeard(nodes);
      registry.content.add('org/first', first, 'v1');
      registry.content.add('org/second', second, 'v1');
      registry.content.add('org/third', third, 'v1');
      await pullAll('first');
      assert.equal(registry.tally.bytesSent(), first.totalBytes);

      const primary = await servers.primaryOf('nodes');
      const others = servers.servers.filter((server) => server !== primary);
      const tookOver = Promise.any(others.map((server) => server.said(/Failover election won/)));
      await primary[Symbol.asyncDispose]();
      await pullAll('second');
      await tookOver;
      // Whoever does not know of the new primary yet says that the engine is down.
      for (const node of nodes) {
        await node.admin.until(
          async () => (await clusterOf(node)).cluster,
          ({ engine, members }) => engine.isUp && members.length === 2,
        );
      }
      registry.tally.reset();
      await pullAll('third');
      assert.ok(registry.tally.bytesSent() < 2 * third.totalBytes);
    },
  );
});

test('a primary without a replica dies: pulls go on, those of its blobs on their own', { skip }, () => {
  const image = buildImage({ seed: 'no-replica', layerSizes });
  return inCluster(
    { nodes: 2, late: true, configuration: () => ({ cluster: { engine: shared?.url, timeout: '300ms' } }) },
    async ({ registry, nodes }) => {
      await untilAllAreHeard(nodes);
      registry.content.add('org/app', image, 'v1');
      await (await shared?.primaryOf(image.layers[0]?.digest ?? ''))?.[Symbol.asyncDispose]();
      const pulls = nodes.flatMap(({ url }) => [pull(url, 'org/app', 'v1'), pull(url, 'org/app', 'v1')]);
      for (const pulled of await Promise.all(pulls)) assert.equal(pulled.manifest, image.manifest.digest);
      assert.ok(registry.tally.bytesSent() <= nodes.length * image.totalBytes);
    },
  );
});
