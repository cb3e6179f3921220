import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import * as faults from '../support/faults.ts';
import { SignedCdn } from '../support/signed-cdn.ts';
import { assertKept, assertWhole, errorIn, inWorld, told, type World } from './world.ts';

const repository = 'org/app';
const sizeBytes = 2_000_000;
const blobs = { kind: 'blob', method: 'GET' } as const;
const image = buildImage({ seed: 'redirects', layerSizes: [sizeBytes] });
const layer = image.layers[0] as Content;
const auth = { kind: 'token', credentials: { username: 'user', password: 'secret' } } as const;
const credentials = { username: 'user', password: 'secret' };

async function link({ registry, client }: World): Promise<void> {
  registry.content.add(repository, image, 'v1');
  assert.equal((await client.manifest(repository, 'v1')).status, 200);
}

test('a blob on a CDN is fetched there once, and the CDN never sees a credential', () =>
  inWorld({ registry: { auth }, upstream: { credentials } }, async (world) => {
    await using cdn = await SignedCdn.start();
    await link(world);
    world.registry.always(blobs, cdn.redirects());
    const downloads = await Promise.all(world.crowd(8).map((client) => client.blob(repository, layer.digest)));
    for (const download of downloads) assertWhole(download, layer);
    assert.equal(cdn.tally.count(), 1);
    for (const { headers } of cdn.tally.requests()) assert.equal(headers.authorization, undefined);
    assert.equal(world.registry.tally.bytesSent(layer.digest), 0);
    await assertKept(world, layer);
  }));

test('a signed URL that has expired when the body breaks off costs one more question to the registry', () =>
  inWorld({ registry: { auth }, upstream: { credentials } }, async (world) => {
    await using cdn = await SignedCdn.start();
    await link(world);
    const { registry } = world;
    registry.always(blobs, cdn.redirects());
    cdn.next(async (answer, request) => {
      cdn.expireAll(); // whoever comes back with this URL is refused
      return faults.cut(1_000_000)(answer, request);
    });
    assertWhole(await world.client.blob(repository, layer.digest), layer);
    assert.deepEqual(
      cdn.tally.requests().map(({ status, headers }) => [status, headers.authorization]),
      [
        [200, undefined],
        [206, undefined],
      ],
    );
    assert.equal(registry.tally.count({ ...blobs, status: 307 }), 2);
    assert.equal(cdn.tally.bytesSent(layer.digest), sizeBytes);
  }));

test('a signed URL that is refused is asked for anew; refused each time it is a failure, without the signature', () =>
  inWorld({}, async (world) => {
    await using cdn = await SignedCdn.start();
    await link(world);
    const redirects = cdn.redirects();
    world.registry.always(blobs, async (answer, request) => {
      const redirected = await redirects(answer, request);
      cdn.expireAll();
      return redirected;
    });
    const refused = await world.client.blob(repository, layer.digest);
    // The registry has not refused it: only what it links to does.
    assert.equal(told(refused), '502 UNAVAILABLE');
    assert.ok(world.registry.tally.count({ ...blobs, status: 307 }) > 1);
    assert.doesNotMatch(refused.body.toString(), /signature/);
  }));

for (const [name, location] of [
  ['leads to itself', `/v2/${repository}/blobs/${layer.digest}`],
  ['leads to a file', 'file:///etc/passwd'],
  ['leads nowhere', 'http://'],
] as const) {
  test(`a redirect that ${name} is refused, and a later pull is right`, () =>
    inWorld({}, async (world) => {
      await link(world);
      const { registry, client } = world;
      registry.always(blobs, faults.redirect(location));
      const refused = await client.blob(repository, layer.digest);
      assert.equal(told(refused), '502 UNAVAILABLE');
      assert.match(errorIn(refused).message, /redirect/);
      assert.ok(registry.tally.count(blobs) <= 6);
      await world.landed();
      registry.behave();
      const [other] = [`${repository}-2`];
      registry.content.add(other, image, 'v1'); // the failure is remembered for its own repository only
      assertWhole(await client.blob(other, layer.digest), layer);
    }));
}
