import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterStatus } from '../../src/cli/cluster-status.ts';
import { buildImage } from '../../src/cli/demo/image.ts';
import { run } from '../support/child.ts';
import { PullClient } from '../support/client.ts';
import { needs } from '../support/need.ts';
import { pull } from '../support/pull.ts';
import { clusterOf, inCluster, membersOf, secret, untilAllAreHeard } from './cluster-scene.ts';

const skip = needs('redis-server');
const image = buildImage({ seed: 'nodes', layerSizes: [3_000, 300_000, 5_000_000, 2_000_000] });
const [, , large] = image.layers;
assert.ok(large);

test('4 nodes with 16 clients each bring an image from upstream once', { skip }, () =>
  inCluster({ nodes: 4 }, async ({ registry, nodes }) => {
    registry.content.add('org/app', image, 'v1');
    const pulls = nodes.flatMap(({ url }) => Array.from({ length: 16 }, () => pull(url, 'org/app', 'v1')));
    for (const pulled of await Promise.all(pulls)) assert.equal(pulled.manifest, image.manifest.digest);
    for (const layer of image.layers) {
      assert.equal(registry.tally.count({ kind: 'blob', method: 'GET', reference: layer.digest }), 1, layer.digest);
    }
    assert.equal(registry.tally.bytesSent(), image.totalBytes);
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'GET' }), 1);
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'HEAD' }), 1);
    assert.equal(registry.tally.count({ kind: 'blob', method: 'HEAD' }), 0);
  }),
);

test('what one node has had, another one has from it, later too', { skip }, () =>
  inCluster({ nodes: 2 }, async ({ registry, nodes }) => {
    registry.content.add('org/app', image, 'v1');
    const [first, second] = nodes;
    assert.ok(first && second);
    await pull(first.url, 'org/app', 'v1');
    await first.assertIdle();
    registry.tally.reset();
    await pull(second.url, 'org/app', 'v1');
    assert.equal(registry.tally.count(), 0);
    assert.equal(
      await first.admin.metric('onepull_peer_sent_bytes_total'),
      image.totalBytes - image.manifest.bytes.length,
    );
  }),
);

test('a range far ahead is fetched once, wherever it is asked for', { skip }, () =>
  inCluster({ nodes: 3 }, async ({ registry, nodes }) => {
    registry.content.add('org/app', image, 'v1');
    const clients = nodes.map(({ url }) => new PullClient(url));
    const [client] = clients;
    assert.ok(client);
    for (const one of clients) await one.manifest('org/app', 'v1');
    const hold = registry.hold(large.digest, 100_000);
    const wholes = clients.map((one) => one.blob('org/app', large.digest));
    await hold.reached;
    const range = { start: 4_000_000, end: 4_100_000 };
    await using ahead = new PullClient(nodes[2]?.url ?? '');
    const part = await ahead.blob('org/app', large.digest, { range, keep: true });
    assert.ok(part.body.equals(large.bytes.subarray(range.start, range.end)));
    hold.release();
    for (const whole of await Promise.all(wholes)) assert.equal(whole.digest, large.digest);
    // A transfer that runs into what is there already is ended: what its socket had buffered is lost.
    assert.ok(registry.tally.bytesSent(large.digest) < 1.5 * large.bytes.length);
    for (const one of clients) await one[Symbol.asyncDispose]();
  }),
);

test('an engine that is killed in mid-pull fails nothing', { skip }, () =>
  inCluster({ nodes: 3 }, async ({ registry, nodes, stopEngine }) => {
    registry.content.add('org/app', image, 'v1');
    const hold = registry.hold(large.digest, 2_000_000);
    const pulls = nodes.flatMap(({ url }) => [pull(url, 'org/app', 'v1'), pull(url, 'org/app', 'v1')]);
    await hold.reached;
    await stopEngine();
    hold.release();
    for (const pulled of await Promise.all(pulls)) assert.equal(pulled.manifest, image.manifest.digest);
    assert.ok(registry.tally.bytesSent(large.digest) <= nodes.length * large.bytes.length);
  }),
);

test(
  'without an engine at the start each node pulls on its own; with one they share, without a restart',
  { skip },
  () =>
    inCluster({ nodes: 2, late: true }, async ({ registry, nodes, startEngine }) => {
      registry.content.add('org/app', image, 'v1');
      const later = buildImage({ seed: 'later', layerSizes: [400_000] });
      registry.content.add('org/later', later, 'v1');
      await Promise.all(nodes.map(({ url }) => pull(url, 'org/app', 'v1')));
      assert.ok(registry.tally.bytesSent() > image.totalBytes);
      const [first] = nodes;
      assert.ok(first);
      assert.equal((await clusterOf(first)).cluster.engine.isUp, false);
      await startEngine();
      await untilAllAreHeard(nodes);
      registry.tally.reset();
      await Promise.all(nodes.map(({ url }) => pull(url, 'org/later', 'v1')));
      assert.equal(registry.tally.bytesSent(), later.totalBytes);
    }),
);

test('an engine that is started anew and empty is shared again', { skip }, () =>
  inCluster({ nodes: 2 }, async ({ registry, nodes, stopEngine, startEngine }) => {
    registry.content.add('org/app', image, 'v1');
    await untilAllAreHeard(nodes);
    await stopEngine();
    for (const node of nodes) {
      await node.admin.until(
        () => membersOf(node),
        (members) => members === 0,
      );
    }
    await startEngine();
    await untilAllAreHeard(nodes);
    await Promise.all(nodes.map(({ url }) => pull(url, 'org/app', 'v1')));
    assert.equal(registry.tally.bytesSent(), image.totalBytes);
  }),
);

test('an engine that hangs holds nobody up', { skip }, () =>
  inCluster({ nodes: 2 }, async ({ registry, nodes, engine }) => {
    registry.content.add('org/app', image, 'v1');
    engine.signal('SIGSTOP');
    await Promise.all(nodes.map(({ url }) => pull(url, 'org/app', 'v1')));
    engine.signal('SIGCONT');
    await untilAllAreHeard(nodes);
  }),
);

test('a node with another secret gets nothing of its peers, and pulls all the same', { skip }, () =>
  inCluster(
    {
      nodes: 2,
      configuration: (index) =>
        index === 0 ? {} : { cluster: { peer: { listen: '127.0.0.1:0', secret: `not ${secret}` } } },
    },
    async ({ registry, nodes }) => {
      registry.content.add('org/app', image, 'v1');
      for (const { url } of nodes) await pull(url, 'org/app', 'v1');
      const [first] = nodes;
      assert.equal(await first?.admin.metric('onepull_peer_sent_bytes_total'), 0);
    },
  ),
);

test('a tag is revalidated once for all nodes, and moves for all', { skip }, () =>
  inCluster({ nodes: 3, configuration: () => ({}) }, async ({ registry, nodes }) => {
    registry.content.add('org/app', image, 'v1');
    await Promise.all(nodes.map(({ url }) => pull(url, 'org/app', 'v1')));
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'HEAD' }), 1);
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'GET' }), 1);
  }),
);

test('a hit costs the engine nothing', { skip }, () =>
  inCluster({ nodes: 1 }, async ({ registry, nodes, engine }) => {
    registry.content.add('org/app', image, 'v1');
    const [node] = nodes;
    assert.ok(node);
    await pull(node.url, 'org/app', 'v1');
    const calls = async () => {
      const { stdout } = await run('redis-cli', ['-p', String(engine.port), 'info', 'commandstats'], {});
      const told = /cmdstat_evalsha:calls=(\d+)/.exec(stdout)?.[1] ?? '0';
      return Number(told);
    };
    const [before, beats] = [await calls(), performance.now()];
    for (let time = 0; time < 50; time++) await pull(node.url, 'org/app', 'v1');
    const seconds = (performance.now() - beats) / 1000;
    // Two a second say that the node is there and what it uses; taking leave of the image's own fills may still be under way.
    const ownCalls = 2 * seconds + 2 * (image.layers.length + 2) + 2;
    const called = (await calls()) - before;
    assert.ok(called <= ownCalls, `${called} calls for 50 warm pulls in ${seconds} s`);
  }),
);

test('cluster status shows the nodes, and what is wrong', { skip }, () =>
  inCluster(
    { nodes: 2, configuration: (index) => ({ cluster: { zone: `zone-${index}` } }) },
    async ({ nodes, stopEngine }) => {
      await untilAllAreHeard(nodes);
      const [node] = nodes;
      assert.ok(node);
      const said: string[] = [];
      const write = process.stdout.write.bind(process.stdout);
      process.stdout.write = (text: string | Uint8Array) => said.push(String(text)) > 0;
      try {
        assert.equal(await clusterStatus({ admin: node.admin.host }), 0);
        await stopEngine();
        await node.admin.until(
          async () => (await clusterOf(node)).cluster.engine.isUp,
          (isUp) => !isUp,
        );
        assert.equal(await clusterStatus({ admin: node.admin.host }), 0);
        assert.equal(await clusterStatus({ admin: node.admin.host, json: true }), 0);
      } finally {
        process.stdout.write = write;
      }
      const [up = '', down = '', json = ''] = said;
      assert.match(up, /engine {3}up since/);
      assert.match(up, /node-0#\S+ \(this one\) +zone-0 /);
      assert.match(up, /node-1#\S+ +zone-1 +http:\/\/127\.0\.0\.1:\d+/);
      assert.match(down, /engine {3}down since .*(no connection|no answer)/);
      assert.equal(JSON.parse(json).engine.isUp, false);
      const ready = (await node.admin.json('/readyz')) as { warnings: string[] };
      assert.match(ready.warnings.join(), /engine that nodes share does not answer/);
    },
  ),
);
