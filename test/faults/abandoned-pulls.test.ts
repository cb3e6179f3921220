import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { untilUp } from '../support/loopback.ts';
import { assertKept, assertWhole, fillsIn, inWorld, isKept, type World } from './world.ts';

const repository = 'org/app';
const sizeBytes = 2_000_000;
const heldAt = 1_000_000;
const image = buildImage({ seed: 'abandoned', layerSizes: [sizeBytes] });
const layer = image.layers[0] as Content;

/** Four clients that all leave while upstream stands still in the middle of the blob. */
async function everybodyLeaves(world: World): Promise<{ release(): void }> {
  const { registry } = world;
  registry.content.add(repository, image, 'v1');
  assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
  const hold = registry.hold(layer.digest, heldAt);
  const leaving = world
    .crowd(4)
    .map((client, n) => client.blob(repository, layer.digest, { leaveAfterBytes: n === 0 ? heldAt : n }));
  await hold.reached;
  for (const download of await Promise.all(leaving)) assert.equal(download.outcome, 'left');
  await world.until(() => world.requestEvents.filter((event) => event.route === 'blob').length === 4);
  return hold;
}

test('finish: a pull that everybody left is finished', () =>
  inWorld({ pull: { abandon: 'finish' } }, async (world) => {
    (await everybodyLeaves(world)).release();
    await assertKept(world, layer);
    assert.deepEqual(
      world.registry.tally.bodies(layer.digest).map(({ sentBytes }) => sentBytes),
      [sizeBytes],
    );
  }));

test('keep: a pull that everybody left stops upstream, and the next one goes on at the first missing byte', () =>
  inWorld({ pull: { abandon: 'keep' } }, async (world) => {
    const { registry } = world;
    const hold = await everybodyLeaves(world);
    await world.landed();
    await registry.tally.until((tally) => tally.concurrency(layer.digest).current === 0);
    assert.equal(await isKept(world, layer.digest), false);
    assert.equal((await fillsIn(world.dataFolder)).length, 2);
    hold.release();
    assertWhole(await world.client.blob(repository, layer.digest), layer);
    // Clients that left before the last one came may have had a pull that it went on with.
    const starts = registry.tally.bodies(layer.digest).map(({ start }) => start);
    assert.deepEqual([starts[0], starts.at(-1)], [0, heldAt]);
    assert.equal(registry.tally.bytesSent(layer.digest), sizeBytes);
    await assertKept(world, layer);
  }));

test('keep: what was left is resumed by the next process, too', () =>
  inWorld({ pull: { abandon: 'keep' } }, async (world) => {
    const hold = await everybodyLeaves(world);
    await world.landed();
    await world.registry.tally.until((tally) => tally.concurrency(layer.digest).current === 0);
    hold.release();
    await world.restart();
    assertWhole(await world.client.blob(repository, layer.digest), layer);
    assert.equal(world.registry.tally.bytesSent(layer.digest), sizeBytes);
    await assertKept(world, layer);
  }));

test('discard: a pull that everybody left leaves nothing, and the next one begins at the beginning', () =>
  inWorld({ pull: { abandon: 'discard' } }, async (world) => {
    const hold = await everybodyLeaves(world);
    await world.landed();
    await world.registry.tally.until((tally) => tally.concurrency(layer.digest).current === 0);
    // It goes a moment after the flight.
    await untilUp(async () => (await fillsIn(world.dataFolder)).length === 0, 'the end of the fill');
    hold.release();
    assertWhole(await world.client.blob(repository, layer.digest), layer);
    // Clients that left before the last one came had a pull of their own.
    const starts = world.registry.tally.bodies(layer.digest).map(({ start }) => start);
    assert.ok(starts.length >= 2 && starts.every((start) => start === 0), `${starts}`);
  }));

for (const abandon of ['finish', 'keep', 'discard']) {
  test(`${abandon}: while one client stays, the pull goes on for it`, () =>
    inWorld({ pull: { abandon } }, async (world) => {
      const { registry } = world;
      registry.content.add(repository, image, 'v1');
      assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
      const hold = registry.hold(layer.digest, heldAt);
      const leaving = world.crowd(8).map((client) => client.blob(repository, layer.digest, { leaveAfterBytes: 1 }));
      const staying = world.client.blob(repository, layer.digest);
      await hold.reached;
      await Promise.all(leaving);
      await world.until(() => world.requestEvents.filter((event) => event.route === 'blob').length === 8);
      hold.release();
      assertWhole(await staying, layer);
      assert.equal(registry.tally.bytesSent(layer.digest), sizeBytes);
    }));
}
