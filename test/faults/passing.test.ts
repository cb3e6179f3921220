import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import * as faults from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { assertKept, assertWhole, blobFile, errorIn, inWorld, isKept, type World } from './world.ts';

const repository = 'org/app';
const blobs = { kind: 'blob', method: 'GET' } as const;
const MB = 1_000_000;
const image = buildImage({ seed: 'passing', layerSizes: [2 * MB, 24 * MB, 12 * MB] });
const [small, huge, big] = image.layers as [Content, Content, Content];
const tiny = { maxSize: '8MiB' };

/** The image's manifest is known, its small layer is in the cache, which is too small for the others. */
async function prepared(world: World): Promise<void> {
  world.registry.content.add(repository, image, 'v1');
  assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
  assertWhole(await world.client.blob(repository, small.digest), small);
  await assertKept(world, small);
  world.registry.tally.reset();
}

async function assertNothingKept(world: World): Promise<void> {
  for (const { digest } of [huge, big]) assert.equal(await isKept(world, digest), false);
  await assertKept(world, small);
}

test('a blob larger than the cache is pulled once by twenty clients at once, and nothing leaves the cache for it', () =>
  inWorld({ storage: tiny }, async (world) => {
    await prepared(world);
    const hold = world.registry.hold(huge.digest, 10 * MB);
    const pulls = world.crowd(20).map((client) => client.blob(repository, huge.digest, { expected: huge }));
    await hold.reached;
    const [shown] = await world.admin.flights();
    assert.deepEqual([shown?.digest, shown?.state, shown?.sizeBytes], [huge.digest, 'pulling', huge.bytes.length]);
    hold.release();
    for (const download of await Promise.all(pulls)) assertWhole(download, huge);
    assert.equal(world.registry.tally.bytesSent(huge.digest), huge.bytes.length);
    assert.equal(await world.admin.metric('onepull_passed_through_total', { cause: 'too-large' }), 1);
    await assertNothingKept(world);
    assert.equal(world.registry.tally.bytesSent(small.digest), 0);
    assert.equal(await world.admin.metric('onepull_evicted_blobs_total'), 0);
  }));

test('a client that stands still while a blob is passed holds nobody up, and gets all of it in the end', () =>
  inWorld({ storage: tiny }, async (world) => {
    await prepared(world);
    const gate = new Gate();
    const [still, ...others] = world.crowd(6);
    const waiting = still?.blob(repository, huge.digest, { pauseAt: { afterBytes: 1, gate } });
    await gate.reached;
    const pulls = others.map((client) => client.blob(repository, huge.digest, { expected: huge }));
    for (const download of await Promise.all(pulls)) assertWhole(download, huge);
    gate.release();
    assert.ok(waiting);
    assertWhole(await waiting, huge);
    assert.ok(world.registry.tally.bytesSent(huge.digest) <= 3 * huge.bytes.length);
    await assertNothingKept(world);
  }));

test('clients of all paces are passed a blob through little memory, each of them right', () =>
  inWorld({ storage: tiny, pull: { passThroughMemory: '6MiB' } }, async (world) => {
    await prepared(world);
    const paces = [4 * MB, 8 * MB, 16 * MB, 32 * MB];
    const pulls = world.crowd(8).map((client, n) => {
      const paceBytesPerSecond = paces[n];
      return client.blob(repository, big.digest, paceBytesPerSecond === undefined ? {} : { paceBytesPerSecond });
    });
    for (const download of await Promise.all(pulls)) assertWhole(download, big);
    await assertNothingKept(world);
  }));

test('a blob that passes by is fetched in ranges, too', () =>
  inWorld({ storage: tiny }, async (world) => {
    await prepared(world);
    const descriptor = { digest: big.digest, mediaType: big.mediaType, size: big.bytes.length };
    assert.equal((await world.client.blobInRanges(repository, descriptor, 4)).digest, big.digest);
    const tail = await world.client.blob(repository, big.digest, { range: { start: 11_999_000 }, keep: true });
    assert.ok(tail.body.equals(big.bytes.subarray(11_999_000)));
    await assertNothingKept(world);
  }));

test('cuts of upstream while a blob is passed are made good, without the clients noticing', () =>
  inWorld({ storage: tiny }, async (world) => {
    await prepared(world);
    const cuts = [faults.cut(3 * MB), faults.cut(7 * MB), faults.status(503)];
    world.registry.next(blobs, ...cuts);
    const pulls = world.crowd(8).map((client) => client.blob(repository, huge.digest, { expected: huge }));
    for (const download of await Promise.all(pulls)) assertWhole(download, huge);
    assert.ok(world.registry.tally.bytesSent(huge.digest) <= 1.02 * huge.bytes.length);
    await assertNothingKept(world);
  }));

test('a wrong body that passes by reaches nobody whole; later ones are right', () =>
  inWorld({ storage: tiny }, async (world) => {
    await prepared(world);
    const heal = world.registry.always(blobs, faults.corrupt(5 * MB));
    const pulls = world.crowd(5).map((client) => client.blob(repository, big.digest));
    const part = world.client.blob(repository, big.digest, { range: { start: 11 * MB } });
    for (const download of await Promise.all([...pulls, part])) assert.equal(download.outcome, 'cut');
    heal();
    await world.landed();
    assertWhole(await world.client.blob(repository, big.digest), big);
    await assertNothingKept(world);
  }));

test('what passes by leaves nothing when all its clients leave', () =>
  inWorld({ storage: tiny }, async (world) => {
    await prepared(world);
    const pulls = world.crowd(4).map((client) => client.blob(repository, huge.digest, { leaveAfterBytes: 5 * MB }));
    for (const download of await Promise.all(pulls)) assert.equal(download.outcome, 'left');
    await world.landed();
    await assertNothingKept(world);
    assert.equal(await world.admin.metric('onepull_flights'), 0);
  }));

test('beyond the memory for it a further blob is refused with Retry-After, those that pass by go on', () =>
  inWorld({ storage: tiny, pull: { passThroughMemory: '600KiB' } }, async (world) => {
    await prepared(world);
    const hold = world.registry.hold(huge.digest, 2 * MB);
    const running = world.client.blob(repository, huge.digest);
    await hold.reached;
    const [other] = world.crowd(1);
    assert.ok(other);
    const { status, code, retryAfter } = errorIn(await other.blob(repository, big.digest));
    assert.deepEqual([status, code, retryAfter], [503, 'UNAVAILABLE', '1']);
    assert.equal(await world.admin.metric('onepull_refused_total', { bound: 'pass-through' }), 1);
    hold.release();
    assertWhole(await running, huge);
    await world.landed();
    assertWhole(await other.blob(repository, big.digest), big);
    await assertNothingKept(world);
  }));

test('without memory for it a blob larger than the cache is refused, and told why', () =>
  inWorld({ storage: tiny, pull: { passThroughMemory: '0' } }, async (world) => {
    await prepared(world);
    const refusal = errorIn(await world.client.blob(repository, huge.digest));
    assert.deepEqual([refusal.status, refusal.code], [503, 'UNAVAILABLE']);
    assert.match(refusal.message, /more than the cache/);
    await assertNothingKept(world);
  }));

test('content that cannot be read while it is served goes on from upstream, and is fetched anew for the next', () =>
  inWorld({}, async (world) => {
    await prepared(world);
    assertWhole(await world.client.blob(repository, huge.digest), huge);
    await assertKept(world, huge);
    world.registry.tally.reset();
    const gate = new Gate();
    const [reading, part, next] = world.crowd(3);
    const held = reading?.blob(repository, huge.digest, { pauseAt: { afterBytes: 1, gate } });
    // Near the start: what it has gateways read ahead is in memory, for the other one, too, and who has had of that what the
    // file has no more is cut, as nobody can vouch for it.
    const range = { start: 1 * MB, end: 23 * MB };
    const inRange = part?.blob(repository, huge.digest, { range, pauseAt: { afterBytes: 1, gate }, keep: true });
    await gate.reached;
    truncateSync(blobFile(world.dataFolder, huge.digest), 13 * MB);
    // The descriptor is shared with those who read already: the file is damaged for this one from the start.
    const started = next?.blob(repository, huge.digest, { range: { start: 18 * MB, end: 19 * MB }, keep: true });
    assert.ok((await started)?.body.equals(huge.bytes.subarray(18 * MB, 19 * MB)));
    gate.release();
    assert.ok(held && inRange);
    assertWhole(await held, huge);
    assert.ok((await inRange).body.equals(huge.bytes.subarray(1 * MB, 23 * MB)));
    await assertKept(world, huge);
    assert.equal(await world.admin.metric('onepull_quarantined_blobs_total', { found_by: 'serving' }), 1);
  }));
