import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import type { UpstreamSnapshot } from '../../src/upstream/upstream-snapshot.ts';
import { PullClient } from '../support/client.ts';
import * as faults from '../support/faults.ts';
import { needs } from '../support/need.ts';
import type { OnepullApp } from '../support/onepull-app.ts';
import { type ClusterScene, inCluster, untilAllAreHeard } from './cluster-scene.ts';

const skip = needs('redis-server');
/** More than any request is held for. */
const longS = 97;
const known = buildImage({ seed: 'known', layerSizes: [1_000] });
const other = buildImage({ seed: 'other', layerSizes: [1_000] });

/** Four nodes, whose tags are to be revalidated each time. */
function inFour(body: (scene: ClusterScene, clients: readonly PullClient[]) => Promise<void>): Promise<void> {
  return inCluster({ nodes: 4, upstream: { tagTtl: '0s' } }, async (scene) => {
    await using opened = new AsyncDisposableStack();
    const clients = scene.nodes.map(({ url }) => opened.use(new PullClient(url)));
    await untilAllAreHeard(scene.nodes);
    await body(scene, clients);
  });
}

async function pausesOf({ admin }: OnepullApp): Promise<readonly unknown[]> {
  const { upstreams } = (await admin.json('/api/v1/upstreams')) as { upstreams: readonly UpstreamSnapshot[] };
  return upstreams.flatMap(({ endpoints }) => endpoints.flatMap(({ pauses }) => pauses));
}

async function untilAllPause(nodes: readonly OnepullApp[]): Promise<void> {
  for (const node of nodes) {
    await node.admin.until(
      () => pausesOf(node),
      (pauses) => pauses.length > 0,
    );
  }
}

test('what one node is told to leave alone all leave alone, and serve known tags meanwhile', { skip }, () =>
  inFour(async ({ registry, nodes }, clients) => {
    registry.content.add('org/known', known, 'v1');
    registry.content.add('org/other', other, 'v1');
    for (const client of clients) assert.equal((await client.manifest('org/known', 'v1')).status, 200);
    registry.always({ kind: 'manifest' }, faults.rateLimited(longS));
    const [first] = clients;
    assert.equal((await first?.manifest('org/other', 'v1'))?.status, 429);
    await untilAllPause(nodes);
    registry.tally.reset();
    const ask = (name: string) =>
      Promise.all(clients.flatMap((client) => [client, client].map((each) => each.manifest(name, 'v1'))));
    for (const { status, digest } of await ask('org/known')) {
      assert.deepEqual([status, digest], [200, known.manifest.digest]);
    }
    for (const answer of await ask('org/other')) {
      assert.equal(answer.status, 429);
      const retryAfter = Number(answer.headers['retry-after']);
      assert.ok(retryAfter > 0 && retryAfter <= longS, `Retry-After ${retryAfter}`);
    }
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'GET' }), 0);
    // Registries count these apart, so each is a question of its own; the answer to one is every node's.
    assert.ok(registry.tally.count({ kind: 'manifest', method: 'HEAD' }) <= nodes.length);
  }),
);

test('a rest is over for all nodes, and each of them pulls again', { skip }, () =>
  inFour(async ({ registry, nodes }, clients) => {
    const names = clients.map((_, index) => `org/app-${index}`);
    for (const name of names) registry.content.add(name, other, 'v1');
    registry.next({ kind: 'manifest', method: 'GET' }, faults.rateLimited(4));
    const first = clients[0]?.manifest('org/app-0', 'v1');
    // On a machine that is too busy to hear of it in time there is nothing left to hear.
    await Promise.race([untilAllPause(nodes), first]);
    const others = clients.slice(1).map((client, index) => client.manifest(names[index + 1] ?? '', 'v1'));
    for (const answer of await Promise.all([first, ...others])) assert.equal(answer?.status, 200);
    // The one that was refused is asked again, and no other was asked in vain.
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'GET' }), 1 + names.length);
  }),
);

test('a rest that was asked for with 503 is told as 503 by the other nodes', { skip }, () =>
  inFour(async ({ registry, nodes }, clients) => {
    registry.content.add('org/other', other, 'v1');
    registry.always({ kind: 'manifest' }, faults.status(503, { 'retry-after': String(longS) }));
    await clients[0]?.manifest('org/other', 'v1');
    await untilAllPause(nodes);
    registry.tally.reset();
    const answer = await clients[3]?.manifest('org/other', 'latest');
    assert.equal(answer?.status, 503);
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'GET' }), 0);
  }),
);
