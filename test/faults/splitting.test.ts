import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import * as faults from '../support/faults.ts';
import { assertKept, assertWhole, inWorld, type World, type WorldOptions } from './world.ts';

const repository = 'org/app';
const sizeBytes = 40_000_000;
const blobs = { kind: 'blob', method: 'GET' } as const;
const image = buildImage({ seed: 'split', layerSizes: [sizeBytes] });
const layer = image.layers[0] as Content;
const perConnection = { connectionBytesPerSecond: 3_000_000 };
const allowed = { maxSplit: 8, maxRanges: 8 };

/** What 4 clients get of the layer, cold. */
function pulling(options: WorldOptions, before: (world: World) => void, after: (world: World) => void) {
  return inWorld(options, async (world) => {
    world.registry.content.add(repository, image, 'v1');
    assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
    before(world);
    const downloads = await Promise.all(
      world.crowd(4).map((client) => client.blob(repository, layer.digest, { expected: layer })),
    );
    for (const download of downloads) assertWhole(download, layer);
    await assertKept(world, layer);
    after(world);
  });
}

test('a large blob is shared by several connections where each is slow, and no byte is fetched twice', () =>
  pulling(
    { registry: perConnection, pull: allowed },
    () => {},
    ({ registry }) => {
      assert.ok(registry.tally.concurrency(layer.digest).max >= 4);
      assert.equal(registry.tally.bytesSent(layer.digest), sizeBytes);
      assert.equal(registry.tally.repeatedBytes(layer.digest), 0);
    },
  ));

test('a limit that all connections share: no byte is fetched twice', () =>
  pulling(
    { registry: { bytesPerSecond: 15_000_000 }, pull: allowed },
    () => {},
    ({ registry }) => {
      assert.equal(registry.tally.bytesSent(layer.digest), sizeBytes);
      assert.equal(registry.tally.repeatedBytes(layer.digest), 0);
    },
  ));

test('pull.maxSplit: 1 never splits', () =>
  pulling(
    { registry: { connectionBytesPerSecond: 15_000_000 }, pull: { maxSplit: 1 } },
    () => {},
    ({ registry }) => assert.equal(registry.tally.bodies(layer.digest).length, 1),
  ));

test('an upstream that ignores ranges sends the blob once, whole', () =>
  pulling(
    { registry: { connectionBytesPerSecond: 15_000_000 }, pull: allowed },
    ({ registry }) => registry.always(blobs, faults.ignoreRange()),
    ({ registry }) => {
      assert.equal(registry.tally.bodies(layer.digest).length, 1);
      assert.equal(registry.tally.bytesSent(layer.digest), sizeBytes);
    },
  ));

test('an upstream that refuses a second connection with 429 goes on with the first', () =>
  pulling(
    { registry: { connectionBytesPerSecond: 12_000_000 }, pull: allowed },
    ({ registry }) => {
      registry.script = (request) => {
        const isMore = request.kind === 'blob' && registry.tally.concurrency(layer.digest).current > 0;
        return isMore ? faults.rateLimited(1) : undefined;
      };
    },
    ({ registry }) => {
      assert.equal(registry.tally.concurrency(layer.digest).max, 1);
      assert.equal(registry.tally.bytesSent(layer.digest), sizeBytes);
    },
  ));

test('several connections that break off again and again: each goes on at its first missing byte', () =>
  pulling(
    { registry: perConnection, pull: allowed },
    ({ registry }) =>
      registry.next(blobs, ...[1, 2_000_000, 700_000, 3, 90_000, 1_200_000].map((at) => faults.cut(at))),
    ({ registry }) => {
      assert.ok(registry.tally.bytesSent(layer.digest) <= sizeBytes * 1.02);
      assert.ok(registry.tally.concurrency(layer.digest).max >= 2);
    },
  ));
