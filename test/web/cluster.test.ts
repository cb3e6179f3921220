import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { shortDigest } from '../../src/web/format/names.ts';
import { type ClusterScene, clusterOf, inCluster, untilAllAreHeard } from '../cluster/cluster-scene.ts';
import { needs } from '../support/need.ts';
import type { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { assertAccessible, assertFits, skip as noPages, Viewer } from './viewer.ts';

const skip = noPages || needs('redis-server', 'redis-cli');
const mebibyte = 1024 * 1024;
const zones = ['eu-1a', 'eu-1a', 'eu-1b'];
const image = buildImage({ seed: 'cluster page', layerSizes: [8 * mebibyte] });
const [layer] = image.layers as [Content];

let viewer: Viewer;
before(async () => {
  if (skip === false) viewer = await Viewer.launch();
});
after(async () => {
  if (skip === false) await viewer[Symbol.asyncDispose]();
});

/** Three real nodes in two zones, and the first one's page of the cluster. */
function withCluster(body: (scene: ClusterScene, page: Page) => Promise<void>): Promise<void> {
  // What is held stands still for as long as it takes to look at it.
  const held = { minProgress: '0', stallTimeout: '10m' };
  const configuration = (index: number) => ({ pull: held, cluster: { zone: zones[index] } });
  return inCluster({ nodes: zones.length, configuration }, async (scene) => {
    await untilAllAreHeard(scene.nodes);
    const page = await viewer.open(scene.nodes[0]?.adminUrl ?? '', 'cluster');
    await body(scene, page);
    await page.context().close();
  });
}

/** Who of the nodes leads the layer, and whom each of the others reads from, by name, as they say it themselves. */
async function placesOf(nodes: readonly OnepullApp[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const places = new Map<string, readonly string[]>();
  for (const [index, node] of nodes.entries()) {
    const { cluster } = await clusterOf(node);
    const fill = cluster.shares.find(({ digest }) => digest === layer.digest);
    const names = fill?.parents.map((id) => id.replace(/#.*/, '')) ?? [];
    if (fill?.leads === true || names.length > 0) places.set(`node-${index}`, fill?.leads === true ? [] : names);
  }
  return places;
}

test('the page of a cluster shows its nodes, and while they share a pull who leads and who feeds whom', { skip }, () =>
  withCluster(async ({ registry, nodes }, page) => {
    registry.content.add('org/app', image, 'v1');
    for (const [index, zone] of zones.entries()) {
      const row = page.getByRole('row', { name: `node-${index}` });
      await row.getByText(zone).waitFor();
      assert.equal(await row.getByText('this node').count(), index === 0 ? 1 : 0);
    }
    await page.getByText('3 nodes').waitFor();
    await page.getByText('The engine answers', { exact: true }).waitFor();
    await page.getByText('Nodes share no transfer right now.').waitFor();

    const hold = registry.hold(layer.digest, 4 * mebibyte);
    const pulls = Promise.all(nodes.map(({ url }) => pull(url, 'org/app', 'v1', { expected: image.layers })));
    await hold.reached;
    const { admin } = nodes[0] as OnepullApp;
    const places = await admin.until(
      () => placesOf(nodes),
      ({ size }) => size === nodes.length,
    );
    const feed = page.locator('.feed').filter({ hasText: shortDigest(layer.digest) });
    const said = feed.locator('details li');
    await feed.getByText('demo.example/org/app:v1').waitFor();
    for (const [name, parents] of places) {
      const self = name === 'node-0' ? ' (this node)' : '';
      const how = parents.length === 0 ? 'leads: reads from upstream' : `reads from ${parents.join(' and ')}`;
      const words = `${name}${self} ${how}, has 50 %`;
      await said.filter({ hasText: words }).waitFor({ state: 'attached' });
      const node = feed.locator('.feed-node').filter({ hasText: name });
      await node.getByText('50\u00a0%').waitFor();
      assert.equal(
        await feed.locator('.feed-node.leads').filter({ hasText: name }).count(),
        parents.length === 0 ? 1 : 0,
      );
      // The drawing says the same to who cannot see it.
      assert.ok((await feed.getByRole('img').getAttribute('aria-label'))?.includes(words), words);
    }
    assert.equal(await said.count(), nodes.length);
    assert.equal(
      await feed.locator('.feed-edge').count(),
      nodes.length,
      'one line for each, to who leads from upstream',
    );
    assert.equal(await feed.locator('.feed-edge-up').count(), 1);
    await feed.getByText('A broken line leads from one zone to another.').waitFor();
    await assertAccessible(page, 'a graph of three nodes');

    const phone = await viewer.open(nodes[2]?.adminUrl ?? '', 'cluster', { width: 360, height: 740 });
    await phone.locator('.feed').first().waitFor();
    await assertFits(phone, 'a graph of three nodes');
    await phone.context().close();

    hold.release();
    await pulls;
    await page.getByText('Nodes share no transfer right now.').waitFor();
    assert.equal(await page.locator('.feed').count(), 0);
    assert.deepEqual(viewer.complaints(), []);
  }),
);

test(
  'a node that stops goes from the page, and comes again; an engine that is away is told, and that it is back',
  { skip },
  () =>
    withCluster(async ({ nodes, stopEngine, startEngine }, page) => {
      const [, , third] = nodes as [OnepullApp, OnepullApp, OnepullApp];
      const announced = page.getByRole('status');
      await page.getByText('3 nodes').waitFor();
      await third.stop();
      await page.getByRole('row', { name: 'node-2' }).waitFor({ state: 'detached' });
      await page.getByText('2 nodes').waitFor();
      await third.startAgain();
      await page.getByRole('row', { name: 'node-2' }).waitFor();

      await stopEngine();
      await page.getByText('The engine does not answer', { exact: true }).waitFor();
      await page.getByText('Nobody can be told of while the engine does not answer.').waitFor();
      await page.locator('.notice').filter({ hasText: 'this node pulls on its own' }).waitFor();
      await announced.filter({ hasText: 'the engine that nodes share does not answer' }).waitFor({ state: 'attached' });
      await assertAccessible(page, 'without an engine');
      await startEngine();
      await page.getByText('The engine answers', { exact: true }).waitFor();
      await page.getByText('3 nodes').waitFor();
      await page.locator('.notice').waitFor({ state: 'detached' });
      await announced.filter({ hasText: 'The node has no warnings any more.' }).waitFor({ state: 'attached' });
      assert.deepEqual(viewer.complaints(), []);
    }),
);
