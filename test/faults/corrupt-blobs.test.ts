import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import type { PullClient } from '../support/client.ts';
import * as faults from '../support/faults.ts';
import { untilUp } from '../support/loopback.ts';
import { assertKept, assertWhole, errorIn, inWorld, isKept, told, type World } from './world.ts';

const smallBytes = 60_000;
const largeBytes = 2_000_000;
const image = buildImage({ seed: 'corrupt', layerSizes: [smallBytes, largeBytes] });
const [small, large] = image.layers as [Content, Content];
const repository = 'org/app';
/** Bodies that a flight throws away before it gives up: the first one and two more. */
const bodiesTried = 3;

async function linked({ registry, client }: World): Promise<void> {
  registry.content.add(repository, image, 'v1');
  assert.equal((await client.manifest(repository, 'v1')).status, 200);
}

function ask(clients: readonly PullClient[], blob: Content) {
  return clients.map((client) => client.blob(repository, blob.digest, { expected: blob }));
}

for (const [name, blob] of [
  ['in memory', small],
  ['on disk', large],
] as const) {
  test(`a blob (${name}) that is always corrupt reaches nobody whole, is not kept, and is right once upstream is`, () =>
    inWorld({}, async (world) => {
      const { registry } = world;
      await linked(world);
      const heal = registry.always({ kind: 'blob', method: 'GET' }, faults.corrupt(blob.bytes.length - 10));
      for (const download of await Promise.all(ask(world.crowd(16), blob))) {
        assert.ok(download.outcome === 'cut' || download.status >= 500, `${download.status} ${download.outcome}`);
        assert.ok(download.status >= 500 || download.sizeBytes < blob.bytes.length);
      }
      await world.landed();
      assert.equal(registry.tally.bodies(blob.digest).length, bodiesTried);
      assert.equal(registry.tally.concurrency(blob.digest).max, 1);
      assert.equal(await isKept(world, blob.digest), false);
      const refused = await world.client.blob(repository, blob.digest);
      assert.equal(told(refused), '502 DIGEST_INVALID');
      assert.match(errorIn(refused).message, /hashes to sha256:/);
      assert.equal(registry.tally.bodies(blob.digest).length, bodiesTried, 'the failure is remembered for a moment');
      heal();
      await untilWhole(world, blob);
      await assertKept(world, blob);
    }));

  test(`a blob (${name}) that is corrupt once is fetched again; who had no byte yet notices nothing`, () =>
    inWorld({}, async (world) => {
      const { registry } = world;
      await linked(world);
      registry.next({ kind: 'blob', method: 'GET' }, faults.corrupt(blob.bytes.length - 10));
      const downloads = await Promise.all(ask(world.crowd(16), blob));
      for (const download of downloads) {
        if (download.outcome === 'complete') assertWhole(download, blob);
        else assert.ok(download.sizeBytes < blob.bytes.length);
      }
      assertWhole(await world.client.blob(repository, blob.digest), blob);
      assert.equal(registry.tally.bodies(blob.digest).length, 2);
      await assertKept(world, blob);
    }));
}

test('a client that reads in ranges cannot put a corrupt whole together', () =>
  inWorld({}, async (world) => {
    const { registry, client } = world;
    await linked(world);
    registry.always({ kind: 'blob', method: 'GET' }, faults.corrupt(100_000));
    // The range that is served from the body with the fault is cut or refused where it reaches the held-back end.
    const descriptor = { digest: large.digest, mediaType: large.mediaType, size: largeBytes };
    const download = await client.blobInRanges(repository, descriptor, 4);
    assert.ok(download.outcome === 'cut' || download.status >= 500);
    assert.equal(await isKept(world, large.digest), false);
  }));

test('a corrupt blob harms neither the others of its image nor their readers', () =>
  inWorld({}, async (world) => {
    const { registry, client } = world;
    await linked(world);
    registry.always({ kind: 'blob', method: 'GET', reference: small.digest }, faults.corrupt(10));
    const [bad, good] = await Promise.all([
      client.blob(repository, small.digest),
      client.blob(repository, large.digest),
    ]);
    assert.ok(bad.outcome === 'cut' || told(bad) === '502 DIGEST_INVALID');
    assertWhole(good, large);
    assert.equal(registry.tally.bodies(large.digest).length, 1);
  }));

test('bytes that an earlier process took in damaged are noticed by the next one and fetched again', () =>
  inWorld({ pull: { abandon: 'keep' } }, async (world) => {
    const { registry } = world;
    await linked(world);
    registry.next({ kind: 'blob', method: 'GET' }, faults.both(faults.corrupt(5000), faults.cut(1_000_000)));
    const hold = registry.hold(large.digest, 1_000_001); // what comes after the cut stands still at its second byte
    await using impatient = world.crowd(1)[0] as PullClient;
    const left = impatient.blob(repository, large.digest, { leaveAfterBytes: 900_000 });
    assert.equal((await left).outcome, 'left');
    hold.release();
    await world.landed();
    await world.restart();
    for (const download of await Promise.all(ask(world.crowd(2), large))) {
      if (download.outcome === 'complete') assertWhole(download, large);
    }
    // They were cut by a body that was made good: that is no failure to be remembered.
    assertWhole(await world.client.blob(repository, large.digest), large);
    await assertKept(world, large);
  }));

/** Asks until the failure is forgotten: seconds at most. */
async function untilWhole({ client }: World, blob: Content): Promise<void> {
  await untilUp(async () => {
    const download = await client.blob(repository, blob.digest);
    if (download.status === 200) assertWhole(download, blob);
    else assert.equal(told(download), '502 DIGEST_INVALID');
    return download.status === 200;
  }, 'the right blob');
}
