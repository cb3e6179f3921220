import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content, type Image } from '../../src/cli/demo/image.ts';
import * as faults from '../support/faults.ts';
import { untilUp } from '../support/loopback.ts';
import { assertWhole, errorIn, inWorld, told, type World } from './world.ts';

/** More than any request is held for. */
const longS = 97;
const image = buildImage({ seed: 'limits', layerSizes: [300_000] });
const other = buildImage({ seed: 'limits, another', layerSizes: [200_000] });
const manifests = { kind: 'manifest' } as const;
const manifestGets = { kind: 'manifest', method: 'GET' } as const;
const blobGets = { kind: 'blob', method: 'GET' } as const;

function layerOf({ layers }: Image): Content {
  const [layer] = layers;
  assert.ok(layer);
  return layer;
}

/** The manifest is here, so that the layers are asked for by GET. */
async function knowManifest({ client, registry }: World, repository: string, content: Image): Promise<void> {
  registry.content.add(repository, content, 'v1');
  assert.equal((await client.manifest(repository, 'v1')).status, 200);
}

test('a limit on manifests is kept for all of them: who cannot wait is told the time that remains, and nothing is sent', () =>
  inWorld({}, async (world) => {
    const { registry, client, admin } = world;
    registry.content.add('org/app', image, 'v1');
    registry.content.add('org/other', other, 'v1');
    registry.always(manifestGets, faults.rateLimited(longS));
    const first = await client.manifest('org/app', 'v1');
    assert.deepEqual([told(first), errorIn(first).retryAfter], ['429 TOOMANYREQUESTS', String(longS)]);
    assert.equal(registry.tally.count(manifestGets), 1);
    const crowded = await Promise.all(world.crowd(16).map((each) => each.manifest('org/other', 'v1')));
    for (const answer of crowded) {
      assert.equal(told(answer), '429 TOOMANYREQUESTS');
      const leftS = Number(errorIn(answer).retryAfter);
      assert.ok(leftS > longS - 30 && leftS <= longS, `Retry-After ${leftS}`);
    }
    assert.equal(registry.tally.count(manifestGets), 1);
    const isLess = async () => Number(errorIn(await client.manifest('org/other', 'v1')).retryAfter) < longS;
    await untilUp(isLess, 'the time that remains has become less: it');
    assert.equal(registry.tally.count(manifestGets), 1);
    assert.equal(await admin.metric('onepull_upstream_pauses_total', { what: 'manifests' }), 1);
  }));

test('while manifest GETs are limited, HEADs go on and known tags are served, stale where they moved', () =>
  inWorld({ upstream: { tagTtl: '0s' } }, async (world) => {
    const { registry, client, requestEvents } = world;
    await knowManifest(world, 'org/app', image);
    registry.always(manifestGets, faults.rateLimited(longS));
    registry.content.add('org/unknown', other, 'v1');
    assert.equal(told(await client.manifest('org/unknown', 'v1')), '429 TOOMANYREQUESTS');
    const gets = registry.tally.count(manifestGets);

    const heads = registry.tally.count({ kind: 'manifest', method: 'HEAD' });
    const same = await client.manifest('org/app', 'v1');
    assert.deepEqual([same.status, same.digest], [200, image.manifest.digest]);
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'HEAD' }), heads + 1, 'it was revalidated');

    registry.content.add('org/app', other, 'v1');
    const moved = await client.manifest('org/app', 'v1');
    assert.deepEqual([moved.status, moved.digest], [200, image.manifest.digest]);
    await world.until(() => requestEvents.at(-1)?.served === 'stale');
    assert.equal(registry.tally.count(manifestGets), gets);
  }));

test('while HEADs are limited, too, nothing is asked and known tags are served stale', () =>
  inWorld({ upstream: { tagTtl: '0s' } }, async (world) => {
    const { registry, client } = world;
    await knowManifest(world, 'org/app', image);
    registry.always(manifests, faults.rateLimited(longS));
    assert.equal((await client.manifest('org/app', 'v1')).digest, image.manifest.digest);
    const asked = registry.tally.count(manifests);
    for (let again = 0; again < 5; again++) {
      assert.equal((await client.manifest('org/app', 'v1')).digest, image.manifest.digest);
    }
    assert.equal(registry.tally.count(manifests), asked);
  }));

test('who waits for a limit that ends soon gets what they asked for, each tag by one request after it', () =>
  inWorld({}, async (world) => {
    const { registry, admin } = world;
    registry.content.add('org/app', image, 'v1');
    registry.content.add('org/other', other, 'v1');
    registry.next({ ...manifestGets, repository: 'org/app' }, faults.rateLimited(1));
    const limited = world.crowd(16).map((each) => each.manifest('org/app', 'v1'));
    await admin.until(
      (api) => api.metric('onepull_upstream_pauses_total'),
      (pauses) => pauses === 1,
    );
    const during = world.crowd(16).map((each) => each.manifest('org/other', 'v1'));
    for (const answer of await Promise.all(limited)) assert.equal(answer.digest, image.manifest.digest);
    for (const answer of await Promise.all(during)) assert.equal(answer.digest, other.manifest.digest);
    assert.equal(registry.tally.count({ ...manifestGets, repository: 'org/app' }), 2);
    assert.equal(registry.tally.count({ ...manifestGets, repository: 'org/other' }), 1);
    const cause = { kind: 'manifest', cause: 'UPSTREAM_RATE_LIMITED' };
    assert.ok((await admin.metric('onepull_upstream_retries_total', cause)) >= 1);
  }));

test('a limit without Retry-After is waited for a little longer each time, not asked over and over', () =>
  inWorld({ pull: { headerTimeout: '5s' } }, async ({ registry, client }) => {
    registry.content.add('org/app', image, 'v1');
    const heal = registry.always(manifestGets, faults.rateLimited());
    const answer = await client.manifest('org/app', 'v1');
    assert.equal(told(answer), '429 TOOMANYREQUESTS');
    assert.ok(Number(errorIn(answer).retryAfter) >= 1);
    const asked = registry.tally.count(manifestGets);
    assert.ok(asked >= 2 && asked <= 4, `${asked} requests`);
    heal();
    await untilUp(async () => (await client.manifest('org/app', 'v1')).status === 200, 'the manifest');
    assert.equal(registry.tally.count(manifestGets), asked + 1);
  }));

test('a limit that is told by a web page alone is one', () =>
  inWorld({}, async ({ registry, client }) => {
    registry.content.add('org/app', image, 'v1');
    registry.next(manifestGets, faults.html(429));
    assert.equal((await client.manifest('org/app', 'v1')).digest, image.manifest.digest);
    assert.equal(registry.tally.count(manifestGets), 2);
  }));

test('a limit that says only when the count begins anew is kept until then', () =>
  inWorld({}, async ({ registry, client }) => {
    registry.content.add('org/app', image, 'v1');
    const headers = { 'x-ratelimit-limit': '60', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(longS) };
    registry.always(manifestGets, faults.status(429, headers));
    const answer = await client.manifest('org/app', 'v1');
    assert.deepEqual([told(answer), errorIn(answer).retryAfter], ['429 TOOMANYREQUESTS', String(longS)]);
  }));

test('a limit on blobs is waited for by the flight, and leaves manifests alone', () =>
  inWorld({}, async (world) => {
    const { registry, client, admin } = world;
    await knowManifest(world, 'org/app', image);
    registry.content.add('org/other', other, 'v1');
    registry.next(blobGets, faults.rateLimited(1));
    const layer = layerOf(image);
    const pulls = world.crowd(8).map((each) => each.blob('org/app', layer.digest));
    await admin.until(
      (api) => api.metric('onepull_upstream_pauses_total', { what: 'blobs' }),
      (pauses) => pauses === 1,
    );
    assert.equal((await client.manifest('org/other', 'v1')).status, 200);
    for (const download of await Promise.all(pulls)) assertWhole(download, layer);
    assert.equal(registry.tally.count({ ...blobGets, reference: layer.digest }), 2);
  }));

test('a limit on blobs that is too long is told at once, to those who want other blobs, too', () =>
  inWorld({}, async (world) => {
    const { registry, client } = world;
    await knowManifest(world, 'org/app', image);
    await knowManifest(world, 'org/other', other);
    registry.always(blobGets, faults.rateLimited(longS));
    const first = await client.blob('org/app', layerOf(image).digest, { keep: true });
    const second = await client.blob('org/other', layerOf(other).digest, { keep: true });
    for (const answer of [first, second]) {
      assert.equal(told(answer), '429 TOOMANYREQUESTS');
      assert.ok(Number(errorIn(answer).retryAfter) > longS - 30);
    }
    assert.equal(registry.tally.count(blobGets), 1);
  }));

test('a limit in mid-blob is waited for, and no byte is fetched twice', () =>
  inWorld({}, async (world) => {
    const { registry, client } = world;
    await knowManifest(world, 'org/app', image);
    const layer = layerOf(image);
    registry.next({ ...blobGets, reference: layer.digest }, faults.cut(100_000), faults.rateLimited(1));
    assertWhole(await client.blob('org/app', layer.digest), layer);
    assert.equal(registry.tally.repeatedBytes(layer.digest), 0);
    assert.equal(registry.tally.count({ ...blobGets, reference: layer.digest }), 3);
  }));

test('a token server that limits us is left alone for all that needs tokens', () =>
  inWorld({ registry: { auth: { kind: 'token' } } }, async ({ registry, client, admin }) => {
    registry.content.add('org/app', image, 'v1');
    registry.content.add('org/other', other, 'v1');
    registry.script = ({ kind }) => (kind === 'token' ? faults.rateLimited(longS) : undefined);
    for (const repository of ['org/app', 'org/other']) {
      const answer = await client.manifest(repository, 'v1');
      assert.equal(told(answer), '429 TOOMANYREQUESTS');
      assert.ok(Number(errorIn(answer).retryAfter) > longS - 30);
    }
    assert.equal(registry.tally.count({ kind: 'token' }), 1);
    assert.equal(await admin.metric('onepull_upstream_pauses_total', { what: 'everything' }), 1);
  }));

test('503 with Retry-After is a rest as well, and is told as what it is', () =>
  inWorld({}, async ({ registry, client }) => {
    registry.content.add('org/app', image, 'v1');
    registry.content.add('org/other', other, 'v1');
    registry.always(manifestGets, faults.status(503, { 'retry-after': String(longS) }));
    for (const repository of ['org/app', 'org/other']) {
      const answer = await client.manifest(repository, 'v1');
      assert.equal(told(answer), '503 UNAVAILABLE');
      assert.ok(Number(errorIn(answer).retryAfter) > longS - 30);
    }
    assert.equal(registry.tally.count(manifestGets), 1);
  }));
