import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cluster as description } from '../../src/admin/description/cluster-fields.ts';
import { clusterAnswer } from '../../src/cli/admin-answers.ts';
import { statusLines } from '../../src/cli/cluster-status.ts';
import { buildImage } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { Gate } from '../support/gate.ts';
import { needs } from '../support/need.ts';
import { clusterOf, inCluster, untilAllAreHeard } from './cluster-scene.ts';

const skip = needs('redis-server');
const image = buildImage({ seed: 'in sight', layerSizes: [4_000_000] });
const [layer] = image.layers;
assert.ok(layer);
const heldAt = 3_000_000;

test('while nodes pull, each of them shows who leads, who follows whom, and how far each is', { skip }, () =>
  inCluster({ nodes: 3, configuration: (index) => ({ cluster: { zone: `zone-${index}` } }) }, async (scene) => {
    const { registry, nodes, engine } = scene;
    registry.content.add('org/app', image, 'v1');
    await untilAllAreHeard(nodes);
    await using opened = new AsyncDisposableStack();
    const clients = nodes.map(({ url }) => opened.use(new PullClient(url)));
    for (const client of clients) await client.manifest('org/app', 'v1');
    const hold = registry.hold(layer.digest, heldAt);
    const pulls: ReturnType<PullClient['blob']>[] = [];
    for (const client of clients) {
      const gate = new Gate();
      pulls.push(client.blob('org/app', layer.digest, { pauseAt: { afterBytes: 1, gate } }));
      await gate.reached;
      gate.release();
    }
    await hold.reached;

    for (const node of nodes) {
      const ids = new Map<string, string>();
      const { cluster } = await node.admin.until(
        async () => {
          const answer = await clusterOf(node);
          for (const { node: each } of answer.cluster.members) ids.set(each.name, each.id);
          return answer;
        },
        ({ cluster: { members } }) =>
          members.length === 3 && members.every(({ load }) => load.fills[0]?.filledBytes === heldAt),
      );
      description.parse(JSON.parse(JSON.stringify(cluster)));
      assert.deepEqual([cluster.engine.address, cluster.engine.prefix], [engine.host, 'onepull']);
      const fills = cluster.members.map(({ node: { name }, load }) => [name, load.fills]);
      const known: object = { digest: layer.digest, sizeBytes: layer.bytes.length, filledBytes: heldAt };
      const follows = (name: string) => ({ ...known, leads: false, place: 'follows', parents: [ids.get(name)] });
      // Each in a chain behind the one before.
      assert.deepEqual(fills, [
        ['node-0', [{ ...known, leads: true, place: 'leads', parents: [] }]],
        ['node-1', [follows('node-0')]],
        ['node-2', [follows('node-1')]],
      ]);
      const sending = cluster.members.map(({ load }) => load.children);
      assert.deepEqual(sending, [1, 1, 0]);
      const own = cluster.members.find(({ node: { id } }) => id === cluster.node);
      assert.deepEqual(cluster.shares, own?.load.fills);

      const lines = statusLines(
        clusterAnswer.parse({ cluster: JSON.parse(JSON.stringify(cluster)) }).cluster ?? assert.fail(),
      );
      const text = lines.map((line) => line.map((piece) => piece.text).join('')).join('\n');
      assert.match(text, /node-0#\S+ +leads +2\.9 MiB of 3\.8 MiB/);
      assert.match(text, /node-2#\S+ +from node-1#\S+ +2\.9 MiB of 3\.8 MiB/);
    }
    hold.release();
    for (const { digest } of await Promise.all(pulls)) assert.equal(digest, layer.digest);

    // What it cost upstream, and what other nodes sent, is told apart: upstream sent it once.
    const size = layer.bytes.length;
    const cost = await Promise.all(
      nodes.map(async ({ admin }) => {
        const [pulled] = await admin.pulls();
        const shown = pulled?.layers.find(({ digest }) => digest === layer.digest);
        return [
          shown?.upstreamBytes,
          shown?.peerBytes,
          pulled?.upstreamRequests,
          pulled?.upstreamBytes,
          pulled?.peerBytes,
        ];
      }),
    );
    assert.deepEqual(cost, [
      [size, 0, 1, size, 0],
      [0, size, 0, 0, size],
      [0, size, 0, 0, size],
    ]);
  }),
);
