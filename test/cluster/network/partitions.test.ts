import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { needs } from '../../support/need.ts';
import type { LabHost } from '../../support/network-lab/lab-host.ts';
import type { Cut } from '../../support/network-lab/network-lab.ts';
import { enterOwnNetwork } from '../../support/network-lab/own-network.ts';
import { assertAllGot, fourAlike, LabCluster } from './lab-cluster.ts';

const cannot = await enterOwnNetwork();
const skip = cannot === false ? needs('redis-server') : cannot;
const layerBytes = 6_000_000;

/** The same nodes through all partitions: none is ever restarted. */
let cluster: LabCluster;
before(async () => {
  if (skip === false) cluster = await LabCluster.start({ lines: fourAlike, stallTimeout: '2s' });
});
after(() => cluster?.[Symbol.asyncDispose]());

/**
 * A layer that all nodes are in the middle of when these are cut off from those; the first node leads. All clients get it, from
 * upstream once for each node at most. Then it is healed, and all is as before.
 */
async function cutInMidLayer(
  name: string,
  sides: () => readonly [readonly LabHost[], readonly LabHost[]],
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  let cut: Cut | undefined;
  try {
    const got = await cluster.inMidLayer(name, layerBytes, async () => {
      cut = await cluster.lab.cut(...sides());
      await meanwhile();
    });
    assertAllGot(got);
    assert.ok(got.times <= cluster.nodes.length, `upstream sent it ${got.times} times`);
  } finally {
    await cut?.heal();
  }
  await cluster.assertShares(`${name}-healed`);
}

test('a node that is cut off from the one that it reads from goes on elsewhere', { skip }, () =>
  cutInMidLayer('holder', () => [[cluster.host(0)], [cluster.host(1)]]),
);

test('nodes that are cut off from the one that leads go on without it, and it without them', { skip }, () =>
  cutInMidLayer('leader', () => [[cluster.host(0)], cluster.hosts.slice(1)]),
);

test('a leader that is cut off from upstream has the rest from the others', { skip }, () =>
  cutInMidLayer('upstream', () => [[cluster.host(0)], [cluster.upstream]]),
);

test('a leader that is cut off from the engine alone goes on, and so do those who read from it', { skip }, () =>
  cutInMidLayer(
    'engine',
    () => [[cluster.host(0)], [cluster.engine]],
    async () => {
      const { admin } = cluster.node(0);
      await admin.until(
        async () => (await cluster.snapshot(0)).engine.isUp,
        (isUp) => !isUp,
      );
    },
  ),
);

test('of two halves each goes on, the one without the engine too', { skip }, () =>
  cutInMidLayer('halves', () => [[...cluster.hosts.slice(0, 2), cluster.engine], cluster.hosts.slice(2)]),
);

test('while it is apart, a half shares what it can, and the other pulls by itself', { skip }, async () => {
  const { hosts, nodes, lab, engine } = cluster;
  const cut = await lab.cut([...hosts.slice(0, 2), engine], hosts.slice(2));
  try {
    for (const index of [2, 3]) {
      await cluster.node(index).admin.until(
        async () => (await cluster.snapshot(index)).engine.isUp,
        (isUp) => !isUp,
      );
    }
    const image = cluster.offer('apart', [300_000]);
    await cluster.pullOnAll('apart', image);
    assert.ok(cluster.timesSent(image) <= nodes.length);
  } finally {
    await cut.heal();
  }
  await cluster.assertShares('apart-healed');
});
