import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import type { Tally } from '../../src/cli/demo/tally.ts';
import { type Download, PullClient } from '../support/client.ts';
import * as faults from '../support/faults.ts';
import { untilUp } from '../support/loopback.ts';
import { assertKept, assertWhole, inWorld, type World, type WorldOptions } from './world.ts';

const repository = 'org/app';
const sizeBytes = 3_000_000;
const blobs = { kind: 'blob', method: 'GET' } as const;
const image = buildImage({ seed: 'broken', layerSizes: [sizeBytes] });
const layer = image.layers[0] as Content;

/** A world whose onepull knows the layer and its size, and what 8 clients get of it. */
async function pulling(options: WorldOptions, body: (world: World, ask: () => Promise<Download[]>) => Promise<void>) {
  await inWorld(options, async (world) => {
    world.registry.content.add(repository, image, 'v1');
    assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
    await body(world, () =>
      Promise.all(world.crowd(8).map((client) => client.blob(repository, layer.digest, { expected: layer }))),
    );
    await assertKept(world, layer);
  });
}

function assertOnce(tally: Tally): void {
  assert.ok(tally.bytesSent(layer.digest) <= sizeBytes * 1.02, `${tally.bytesSent(layer.digest)} bytes were sent`);
  assert.equal(tally.concurrency(layer.digest).max, 1);
}

for (const how of ['cut', 'reset'] as const) {
  test(`a body that breaks off (${how}) again and again goes on at the first missing byte; no client notices`, () =>
    pulling({}, async ({ registry }, ask) => {
      const cuts = [1, 70_001, 500_000, 3, 900_000, 1_200_000];
      registry.next(blobs, ...cuts.map((bytes) => faults.cut(bytes, how)));
      for (const download of await ask()) assertWhole(download, layer);
      assert.equal(registry.tally.bodies(layer.digest).length, cuts.length + 1);
      if (how === 'cut') assertOnce(registry.tally); // a reset takes bytes along that had been sent
    }));
}

test('a body without a length is served whole', () =>
  pulling({}, async ({ registry }, ask) => {
    registry.always(blobs, faults.chunked());
    for (const download of await ask()) assertWhole(download, layer);
    assertOnce(registry.tally);
  }));

test('a body without a length that breaks off goes on at the first missing byte', () =>
  pulling({}, async ({ registry }, ask) => {
    registry.next(blobs, faults.both(faults.chunked(), faults.cut(1_000_000)));
    for (const download of await ask()) assertWhole(download, layer);
    assertOnce(registry.tally);
  }));

test('a blob whose size nobody knows is served whole, in chunks, also when it breaks off', () =>
  inWorld({}, async (world) => {
    const { registry } = world;
    registry.content.add(repository, image, 'v1');
    registry.always({ kind: 'blob', method: 'HEAD' }, faults.chunked());
    registry.next(blobs, faults.both(faults.chunked(), faults.cut(1_000_000)), faults.chunked());
    const downloads = await Promise.all(world.crowd(8).map((client) => client.blob(repository, layer.digest)));
    for (const download of downloads) assertWhole(download, layer);
    await assertKept(world, layer);
  }));

test('a blob whose size nobody knows and whose end is missing is cut, never ended', () =>
  inWorld({}, async (world) => {
    const { registry, client } = world;
    registry.content.add(repository, image, 'v1');
    registry.always({ kind: 'blob', method: 'HEAD' }, faults.chunked());
    registry.always(blobs, faults.both(faults.short(2_000_000), faults.chunked()));
    const download = await client.blob(repository, layer.digest);
    assert.ok(download.outcome === 'cut' || download.status === 502);
  }));

test('an upstream that ignores Range costs the resumed bytes again, no more, and no client notices', () =>
  pulling({}, async ({ registry }, ask) => {
    registry.next(blobs, faults.cut(1_000_000));
    registry.always(blobs, faults.ignoreRange());
    for (const download of await ask()) assertWhole(download, layer);
    assert.equal(registry.tally.bodies(layer.digest).length, 2);
    assert.equal(registry.tally.repeatedBytes(layer.digest), 1_000_000);
  }));

test('a far range of an upstream that ignores Range is served from the fill', () =>
  pulling({}, async (world, ask) => {
    const { registry } = world;
    registry.always(blobs, faults.ignoreRange());
    const hold = registry.hold(layer.digest, 200_000);
    const everyone = ask();
    await hold.reached;
    const range = { start: 2_500_000, end: 2_600_000 };
    await using far = new PullClient(world.url);
    const part = far.blob(repository, layer.digest, { range, keep: true });
    await registry.tally.until((tally) => tally.bodies(layer.digest).length === 2);
    hold.release();
    const { status, outcome, body } = await part;
    assert.deepEqual([status, outcome], [206, 'complete']);
    assert.deepEqual(body, Buffer.from(layer.bytes.subarray(range.start, range.end)));
    for (const download of await everyone) assertWhole(download, layer);
  }));

test('a far range is fetched beside the fill, and no byte of it twice', () =>
  pulling({}, async (world, ask) => {
    const { registry } = world;
    const hold = registry.hold(layer.digest, 200_000);
    const everyone = ask();
    await hold.reached;
    const range = { start: 2_500_000, end: 2_900_000 };
    await using far = new PullClient(world.url);
    const part = await far.blob(repository, layer.digest, { range, keep: true });
    assert.deepEqual(part.body, Buffer.from(layer.bytes.subarray(range.start, range.end)));
    hold.release();
    for (const download of await everyone) assertWhole(download, layer);
    // What upstream had put on its way when the fill met the range does not count: it was not taken.
    assert.ok((await world.admin.metric('onepull_upstream_bytes_total')) <= sizeBytes * 1.02 + 512 * 1024);
  }));

test('an upstream that goes away in the middle of a pull and comes back is noticed by no client', () =>
  pulling({}, async ({ registry }, ask) => {
    const hold = registry.hold(layer.digest, 1_000_000);
    const everyone = ask();
    await hold.reached;
    hold.release();
    await registry.goAway();
    await registry.comeBack();
    for (const download of await everyone) assertWhole(download, layer);
  }));

test('an upstream that is away is an error for all, and pulls are right once it is back', () =>
  inWorld({}, async (world) => {
    const { registry } = world;
    registry.content.add(repository, image, 'v1');
    assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
    await registry.goAway();
    const refused = await Promise.all(world.crowd(8).map((client) => client.blob(repository, layer.digest)));
    assert.deepEqual(new Set(refused.map(({ status }) => status)), new Set([502]));
    await world.landed();
    await registry.comeBack();
    await untilUp(async () => {
      const download = await world.client.blob(repository, layer.digest);
      if (download.status === 200) assertWhole(download, layer);
      return download.status === 200;
    }, 'the blob');
    await assertKept(world, layer);
  }));
