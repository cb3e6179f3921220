import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { Gate } from '../support/gate.ts';
import { needs } from '../support/need.ts';
import { inCluster, untilAllAreHeard } from './cluster-scene.ts';

const skip = needs('redis-server');
const MB = 1_000_000;
const image = buildImage({ seed: 'outages', layerSizes: [6 * MB] });
const [layer] = image.layers;
assert.ok(layer);

/** Longer than the first one goes on before it yields, so that others try, too. */
test('an upstream that goes away in mid-blob, from every node: no client of any node is cut', { skip }, () =>
  inCluster({ nodes: 3 }, async ({ registry, nodes }) => {
    await untilAllAreHeard(nodes);
    registry.content.add('org/app', image, 'v1');
    await using opened = new AsyncDisposableStack();
    const clients = nodes.map(({ url }) => opened.use(new PullClient(url)));
    for (const client of clients) assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    const hold = registry.hold(layer.digest, 2 * MB);
    const pulls: ReturnType<PullClient['blob']>[] = [];
    for (const client of clients) {
      const gate = new Gate();
      pulls.push(client.blob('org/app', layer.digest, { pauseAt: { afterBytes: 1, gate } }));
      await gate.reached;
      gate.release();
    }
    await hold.reached;
    await registry.goAway();
    hold.release();
    const failures = async (index: number) =>
      (await nodes[index]?.admin.metric('onepull_upstream_requests_total', {
        kind: 'blob',
        status: 'UPSTREAM_UNREACHABLE',
      })) ?? 0;
    await nodes[0]?.admin.until(
      async () => (await failures(1)) + (await failures(2)),
      (others) => others > 0,
    );
    await registry.comeBack();
    for (const { outcome, digest } of await Promise.all(pulls)) {
      assert.deepEqual([outcome, digest], ['complete', layer.digest]);
    }
    const times = registry.tally.bytesSent(layer.digest) / layer.bytes.length;
    assert.ok(times <= nodes.length, `upstream sent ${times} times the layer`);
  }),
);
