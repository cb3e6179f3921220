import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content, type Image } from '../../src/cli/demo/image.ts';
import * as faults from '../support/faults.ts';
import { assertWhole, inWorld, type World } from './world.ts';

/** Of two connections one is for bodies. */
const oneBody = { connections: 2, tagTtl: '1h' };
const images = Array.from({ length: 4 }, (_, n) => buildImage({ seed: `crowded ${n}`, layerSizes: [400_000 - n] }));
const layers = images.map(({ layers: [layer] }) => layer as Content);

async function knowManifests({ registry, client }: World, known: readonly Image[]): Promise<void> {
  for (const [n, image] of known.entries()) {
    registry.content.add(`org/app-${n}`, image, 'v1');
    assert.equal((await client.manifest(`org/app-${n}`, 'v1')).status, 200);
  }
}

function flightsInState(
  world: World,
  digest: string,
  isRight: (reason: string | undefined) => boolean,
): Promise<unknown> {
  return world.admin.until(
    async (api) => (await api.flights()).find((flight) => flight.digest === digest)?.waitingFor,
    isRight,
  );
}

test('a fill that waits for a connection says so, and a manifest does not wait behind it', () =>
  inWorld({ upstream: oneBody }, async (world) => {
    const { registry, client } = world;
    const [first, second] = layers;
    assert.ok(first && second);
    await knowManifests(world, images.slice(0, 2));
    const hold = registry.hold(first.digest, 100_000);
    const pulls = [client.blob('org/app-0', first.digest)];
    await hold.reached;
    pulls.push(client.blob('org/app-1', second.digest));
    const host = new URL(registry.url).host;
    await flightsInState(world, second.digest, (reason) => reason === `a free connection to ${host} (0 ahead)`);
    registry.content.add('org/app-3', images[3] as Image, 'v1');
    assert.equal((await client.manifest('org/app-3', 'v1')).status, 200);
    assert.equal(registry.tally.bodies(second.digest).length, 0);
    hold.release();
    for (const [n, download] of (await Promise.all(pulls)).entries()) assertWhole(download, layers[n] as Content);
  }));

test('the next connection goes to the fill that most clients wait for', () =>
  inWorld({ upstream: oneBody }, async (world) => {
    const { registry, client } = world;
    const [first, lonely, wanted] = layers;
    assert.ok(first && lonely && wanted);
    await knowManifests(world, images.slice(0, 3));
    const hold = registry.hold(first.digest, 100_000);
    const pulls = [client.blob('org/app-0', first.digest)];
    await hold.reached;
    pulls.push(client.blob('org/app-1', lonely.digest));
    const isInLine = (reason: string | undefined) => reason?.startsWith('a free connection') === true;
    await flightsInState(world, lonely.digest, isInLine);
    const crowd = world.crowd(24).map((each) => each.blob('org/app-2', wanted.digest));
    await flightsInState(world, wanted.digest, isInLine);
    await world.admin.until(
      async (api) => (await api.flights()).find(({ digest }) => digest === wanted.digest)?.waiters,
      (waiters) => waiters === 24,
    );
    hold.release();
    for (const download of await Promise.all(crowd)) assertWhole(download, wanted);
    for (const [n, download] of (await Promise.all(pulls)).entries()) assertWhole(download, layers[n] as Content);
    const order = registry.tally
      .bodies()
      .map(({ digest }) => layers.findIndex((layer) => layer.digest === digest))
      .filter((n) => n >= 0);
    assert.deepEqual(order, [0, 2, 1]);
  }));

test('an upstream that refuses more than so many bodies at once brings all of them, by fewer requests than fills', () =>
  inWorld({ upstream: { connections: 64 }, registry: { connectionBytesPerSecond: 400_000 } }, async (world) => {
    const { registry } = world;
    const many = Array.from({ length: 24 }, (_, n) => buildImage({ seed: `too many ${n}`, layerSizes: [60_000] }));
    await knowManifests(world, many);
    const most = 4;
    const isLayer = (reference: string) => many.some(({ layers: [layer] }) => layer?.digest === reference);
    const open = () =>
      registry.tally.bodies().filter(({ state, digest }) => state === 'open' && isLayer(digest)).length;
    let refused = 0;
    registry.script = ({ kind, method, reference }) => {
      if (kind !== 'blob' || method !== 'GET' || !isLayer(reference ?? '') || open() < most) return undefined;
      refused++;
      return faults.rateLimited(1);
    };
    const downloads = world
      .crowd(many.length)
      .map((each, n) => each.blob(`org/app-${n}`, many[n]?.layers[0]?.digest ?? ''));
    for (const [n, download] of (await Promise.all(downloads)).entries()) {
      assertWhole(download, many[n]?.layers[0] as Content);
    }
    assert.ok(refused > 0 && refused < many.length, `${refused} refusals for ${many.length} fills`);
  }));
