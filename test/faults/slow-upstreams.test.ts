import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import * as faults from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { untilUp } from '../support/loopback.ts';
import { readAll } from '../support/registry-session.ts';
import { assertKept, assertWhole, inWorld, told, type World } from './world.ts';

const repository = 'org/app';
const sizeBytes = 2_000_000;
const blobs = { kind: 'blob', method: 'GET' } as const;
const image = buildImage({ seed: 'slow', layerSizes: [sizeBytes, 40_000] });
const [large, small] = image.layers as [Content, Content];

async function link({ registry, client }: World): Promise<void> {
  registry.content.add(repository, image, 'v1');
  assert.equal((await client.manifest(repository, 'v1')).status, 200);
}

test('a body that stands still is replaced at its next byte; no client notices, no byte is sent twice', () =>
  inWorld({ pull: { stallTimeout: '250ms' } }, async (world) => {
    await link(world);
    const { registry } = world;
    const gate = new Gate();
    registry.next(blobs, faults.stall(700_000, gate), faults.stall(1, gate), faults.stall(600_000, gate));
    const downloads = await Promise.all(world.crowd(8).map((client) => client.blob(repository, large.digest)));
    for (const download of downloads) assertWhole(download, large);
    assert.ok(registry.tally.bytesSent(large.digest) <= sizeBytes * 1.02);
    assert.equal(registry.tally.bodies(large.digest).length, 4);
    await assertKept(world, large);
  }));

test('a body that stands still for less than the bound goes on by itself', () =>
  inWorld({ pull: { stallTimeout: '10s' } }, async (world) => {
    await link(world);
    const hold = world.registry.hold(large.digest, 700_000);
    const download = world.client.blob(repository, large.digest);
    await hold.reached;
    hold.release();
    assertWhole(await download, large);
    assert.equal(world.registry.tally.bodies(large.digest).length, 1);
  }));

test('headers that do not come are asked for again', () =>
  inWorld({ upstream: { headersTimeout: '200ms' } }, async (world) => {
    const { registry, client } = world;
    const gate = new Gate();
    registry.content.add(repository, image, 'v1');
    registry.next({ kind: 'manifest' }, faults.slowHeaders(gate));
    registry.next(blobs, faults.slowHeaders(gate));
    assert.equal((await client.manifest(repository, 'v1')).digest, image.manifest.digest);
    assertWhole(await client.blob(repository, small.digest), small);
    assertWhole(await client.blob(repository, large.digest), large);
    gate.release();
  }));

for (const blob of [small, large]) {
  test(`the headers of a blob of ${blob.bytes.length} known bytes come at the deadline, its body when upstream sends it`, () =>
    inWorld({ pull: { headerTimeout: '500ms' } }, async (world) => {
      await link(world);
      const gate = new Gate();
      world.registry.next(blobs, faults.slowHeaders(gate));
      const responses = await Promise.all([1, 2, 3].map(() => headersOf(world, blob)));
      for (const { statusCode, headers } of responses) {
        assert.deepEqual([statusCode, headers['content-length']], [200, String(blob.bytes.length)]);
      }
      gate.release(); // only now does upstream begin to answer
      for (const response of responses) assert.equal(digestOf(await readAll(response)), blob.digest);
      assert.equal(world.registry.tally.bodies(blob.digest).length, 1);
      await assertKept(world, blob);
    }));
}

test('a blob of unknown size is 504 with Retry-After at the deadline; the pull goes on for the next request', () =>
  inWorld({ pull: { headerTimeout: '200ms' } }, async (world) => {
    const { registry, client } = world;
    registry.content.add(repository, image, 'v1');
    registry.always({ kind: 'blob', method: 'HEAD' }, faults.chunked());
    const gate = new Gate();
    registry.next(blobs, faults.slowHeaders(gate));
    const refused = await Promise.all(world.crowd(4).map((each) => each.blob(repository, large.digest)));
    for (const answer of refused) {
      assert.equal(told(answer), '504 UNAVAILABLE');
      assert.match(answer.headers['retry-after'] ?? '', /^[1-9]\d*$/);
    }
    gate.release();
    await assertKept(world, large);
    assertWhole(await client.blob(repository, large.digest), large);
    assert.equal(registry.tally.count(blobs), 1);
  }));

test('a manifest that does not come in time is 504; once it comes it is served', () =>
  inWorld({ pull: { headerTimeout: '200ms' } }, async ({ registry, client }) => {
    registry.content.add(repository, image, 'v1');
    const gate = new Gate();
    registry.next({ kind: 'manifest' }, faults.slowHeaders(gate));
    assert.equal(told(await client.manifest(repository, 'v1')), '504 UNAVAILABLE');
    gate.release();
    await untilUp(async () => (await client.manifest(repository, 'v1')).digest === image.manifest.digest, 'the tag');
  }));

test('a known tag is served stale while upstream does not answer, and while it is away', () =>
  inWorld({ upstream: { tagTtl: '0s' }, pull: { headerTimeout: '20s' } }, async (world) => {
    await link(world);
    const { registry, client } = world;
    const gate = new Gate();
    registry.always({ kind: 'manifest', method: 'HEAD' }, faults.slowHeaders(gate));
    assert.equal((await client.manifest(repository, 'v1')).digest, image.manifest.digest);
    gate.release();
    await registry.goAway();
    assert.equal((await client.manifest(repository, 'v1')).digest, image.manifest.digest);
    await registry.comeBack();
  }));

async function headersOf(world: World, { digest }: Content): Promise<IncomingMessage> {
  const request = get(`${world.url}/v2/${repository}/blobs/${digest}`, { agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}
