import assert from 'node:assert/strict';
import { open, rm, stat, truncate, utimes } from 'node:fs/promises';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { assertKept, assertWhole, blobFile, inWorld, type World } from './world.ts';

const repository = 'org/app';
const image = buildImage({ seed: 'disk', layerSizes: [1_500_000, 1_000_000, 50_000, 20_000] });
const [large, other, small, tiny] = image.layers as [Content, Content, Content, Content];

async function pulled(world: World, ...blobs: readonly Content[]): Promise<void> {
  world.registry.content.add(repository, image, 'v1');
  assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
  for (const blob of blobs) {
    assertWhole(await world.client.blob(repository, blob.digest), blob);
    await assertKept(world, blob);
  }
}

/** As a disk does that lies: the file's times stay. */
async function flipBit({ dataFolder }: World, { digest }: Content, atByte: number): Promise<void> {
  const path = blobFile(dataFolder, digest);
  const { atime, mtime } = await stat(path);
  const file = await open(path, 'r+');
  const [byte] = [Buffer.alloc(1)];
  await file.read(byte, 0, 1, atByte);
  byte.writeUInt8(byte.readUInt8(0) ^ 1);
  await file.write(byte, 0, 1, atByte);
  await file.close();
  await utimes(path, atime, mtime);
}

test('a blob that was cut short on disk is noticed when it is asked for, put away and fetched again', () =>
  inWorld({}, async (world) => {
    await pulled(world, large);
    await truncate(blobFile(world.dataFolder, large.digest), 1_000_000);
    for (const download of await Promise.all(world.crowd(4).map((client) => client.blob(repository, large.digest)))) {
      assertWhole(download, large);
    }
    assert.equal(world.registry.tally.bodies(large.digest).length, 2);
    assert.ok(world.notices.some(({ message }) => message.includes('quarantine')));
    await assertKept(world, large);
  }));

test('a blob that is gone from disk is fetched again', () =>
  inWorld({}, async (world) => {
    await pulled(world, large, small);
    for (const blob of [large, small]) {
      await rm(blobFile(world.dataFolder, blob.digest));
      assertWhole(await world.client.blob(repository, blob.digest), blob);
      assert.equal(world.registry.tally.bodies(blob.digest).length, 2);
      await assertKept(world, blob);
    }
  }));

test('a flipped bit is found by the scrub; the blob is put away and fetched again', () =>
  inWorld({ storage: { scrubRate: '1GiB' } }, async (world) => {
    await pulled(world, large, other);
    await flipBit(world, large, 700_000);
    await world.restart();
    await world.until(() => world.notices.some(({ message }) => message.includes('quarantine')));
    assertWhole(await world.client.blob(repository, large.digest), large);
    assertWhole(await world.client.blob(repository, other.digest), other);
    assert.equal(world.registry.tally.bodies(large.digest).length, 2);
    assert.equal(world.registry.tally.bodies(other.digest).length, 1);
    await assertKept(world, large);
  }));

for (const [when, restarts] of [
  ['before a restart', true],
  ['while onepull runs', false],
] as const) {
  test(`a bit that flipped ${when} reaches no client as a whole blob: it is cut, put away and fetched again`, () =>
    inWorld({ storage: { scrubRate: '0' } }, async (world) => {
      await pulled(world, large, other);
      await flipBit(world, large, 700_000);
      if (restarts) await world.restart();
      const crowd = world.crowd(6);
      for (const download of await Promise.all(crowd.map((client) => client.blob(repository, large.digest)))) {
        if (download.outcome === 'complete') assertWhole(download, large);
        else assert.equal(download.status, 200);
      }
      assertWhole(await world.client.blob(repository, large.digest), large);
      assertWhole(await world.client.blob(repository, other.digest), other);
      assert.equal(world.registry.tally.bodies(large.digest).length, 2);
      assert.equal(world.registry.tally.bodies(other.digest).length, 1);
      assert.equal(world.notices.filter(({ message }) => message.includes('is in quarantine')).length, 1);
      assert.equal(await world.admin.metric('onepull_quarantined_blobs_total', { found_by: 'serving' }), 1);
      await assertKept(world, large);
    }));
}

test('what an earlier process left is proved while it is served, and not fetched again', () =>
  inWorld({ storage: { scrubRate: '0' } }, async (world) => {
    await pulled(world, large, small);
    await world.restart();
    for (const blob of [large, small]) {
      const crowd = world.crowd(8);
      for (const download of await Promise.all(crowd.map((client) => client.blob(repository, blob.digest)))) {
        assertWhole(download, blob);
      }
      assert.equal(world.registry.tally.bodies(blob.digest).length, 1);
    }
    assert.deepEqual(world.requestEvents.map(({ complete }) => complete).includes(false), false);
  }));

test('a flipped bit in a small blob is made good before a byte of it goes out', () =>
  inWorld({}, async (world) => {
    await pulled(world, tiny);
    await flipBit(world, tiny, 7000);
    await world.restart();
    assertWhole(await world.client.blob(repository, tiny.digest), tiny);
    await assertKept(world, tiny);
    assert.equal(world.registry.tally.bodies(tiny.digest).length, 2);
  }));

test('a data directory that is removed while onepull runs fails no pull; a restart heals it', () =>
  inWorld({}, async (world) => {
    await pulled(world, large);
    const hold = world.registry.hold(other.digest, 500_000);
    const running = world.client.blob(repository, other.digest);
    await hold.reached;
    await rm(world.dataFolder, { recursive: true });
    hold.release();
    assertWhole(await running, other); // its file has no name any more, but is still there
    await world.landed();
    const downloads = await Promise.all(
      [large, other, small].map(async (blob) => ({ blob, download: await world.client.blob(repository, blob.digest) })),
    );
    for (const { blob, download } of downloads) assertWhole(download, blob);
    await world.landed();
    await world.restart();
    for (const blob of [large, other, small]) {
      assertWhole(await world.client.blob(repository, blob.digest), blob);
      await assertKept(world, blob);
    }
  }));
