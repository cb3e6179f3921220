import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { Gate } from '../support/gate.ts';
import { freePort } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { RedisServer } from '../support/redis-server.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { secret } from './cluster-scene.ts';

const skip = needs('redis-server');
const MB = 1_000_000;
const image = buildImage({ seed: 'node-deaths', layerSizes: [30 * MB] });
const [layer] = image.layers;
assert.ok(layer);

interface Processes {
  readonly registry: ScriptedRegistry;
  readonly nodes: readonly OnepullProcess[];
  /** One client of each node, which has the manifest. */
  readonly clients: readonly PullClient[];
}

/** Nodes that are processes of their own, the first of which leads. */
async function withProcesses(count: number, body: (processes: Processes) => Promise<void>): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const registry = opened.use(await ScriptedRegistry.start());
  const redis = opened.use(await RedisServer.start());
  registry.content.add('org/app', image, 'v1');
  const nodes: OnepullProcess[] = [];
  for (let index = 0; index < count; index++) {
    const node = await OnepullProcess.start({
      upstreams: { 'demo.example': { url: registry.url, default: true } },
      cluster: {
        engine: redis.url,
        timeout: '3s',
        nodeId: `node-${index}`,
        peer: { listen: `127.0.0.1:${await freePort()}`, secret },
      },
    });
    nodes.push(opened.use(node));
  }
  const clients: PullClient[] = [];
  for (const { url } of nodes) {
    const client = opened.use(new PullClient(url));
    await client.manifest('org/app', 'v1');
    clients.push(client);
  }
  registry.tally.reset();
  await body({ registry, nodes, clients });
}

/** Every node pulls the layer, one after the other, and has its beginning; then `meanwhile`. Returns what each client got. */
async function inMidLayer({ registry, clients }: Processes, meanwhile: () => Promise<void>) {
  assert.ok(layer);
  const hold = registry.hold(layer.digest, 12 * MB);
  const pulls: ReturnType<PullClient['blob']>[] = [];
  for (const client of clients) {
    const gate = new Gate();
    pulls.push(client.blob('org/app', layer.digest, { pauseAt: { afterBytes: 1, gate } }));
    await gate.reached;
    gate.release();
  }
  await hold.reached;
  await meanwhile();
  hold.release();
  return Promise.all(pulls);
}

test('a leader that is killed in mid-blob costs its own clients alone, and hardly a byte', { skip }, () =>
  withProcesses(4, async (processes) => {
    const { registry, nodes } = processes;
    const [own, ...others] = await inMidLayer(processes, async () => {
      await nodes[0]?.killHard();
    });
    assert.notEqual(own?.outcome, 'complete');
    for (const { digest } of others) assert.equal(digest, layer.digest);
    const times = registry.tally.bytesSent(layer.digest) / layer.bytes.length;
    assert.ok(times <= 1.1, `upstream sent ${times} times the layer`);
  }),
);

test('a node in the middle that is killed costs its own clients alone', { skip }, () =>
  withProcesses(4, async (processes) => {
    const { registry, nodes } = processes;
    const downloads = await inMidLayer(processes, async () => {
      await nodes[1]?.killHard();
    });
    for (const index of [0, 2, 3]) assert.equal(downloads[index]?.digest, layer.digest);
    assert.ok(registry.tally.bytesSent(layer.digest) <= 1.1 * layer.bytes.length);
  }),
);

test(
  'all nodes are restarted one after the other during a pull, and no client of one that stops is cut',
  { skip },
  () =>
    withProcesses(3, async (processes) => {
      const { registry, nodes } = processes;
      const stops: Promise<unknown>[] = [];
      const downloads = await inMidLayer(processes, async () => {
        for (const node of nodes) stops.push(node.terminate());
      });
      for (const { digest } of downloads) assert.equal(digest, layer.digest);
      await Promise.all(stops);
      assert.ok(registry.tally.bytesSent(layer.digest) <= 1.1 * layer.bytes.length);
      for (const node of nodes) await node.startAgain();
      for (const { url } of nodes) {
        await using client = new PullClient(url);
        await client.manifest('org/app', 'v1');
        assert.equal((await client.blob('org/app', layer.digest)).digest, layer.digest);
      }
    }),
);

test('a leader that freezes holds up nobody but its own clients, and them only until it goes on', { skip }, () =>
  withProcesses(3, async (processes) => {
    const { registry, nodes } = processes;
    const [leader] = nodes;
    const pid = leader?.pid;
    assert.ok(pid);
    const downloads = await inMidLayer(processes, async () => {
      process.kill(pid, 'SIGSTOP');
      // Without it the others are not waited for: they have to come to the end before it goes on.
      await registry.tally.until(
        () => registry.tally.count({ kind: 'blob', method: 'GET', reference: layer.digest }) > 1,
      );
      process.kill(pid, 'SIGCONT');
    });
    for (const { digest } of downloads) assert.equal(digest, layer.digest);
    assert.ok(registry.tally.bytesSent(layer.digest) <= 2 * layer.bytes.length);
  }),
);
