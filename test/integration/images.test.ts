import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { imagesPage, pinned, purged } from '../../src/admin/description/image-fields.ts';
import { preheat, preheatSummary } from '../../src/admin/description/preheat-fields.ts';
import { buildImage, buildIndex, type Content, type Image } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import type { ImageSnapshot, PurgeSnapshot } from '../../src/pull/image-snapshot.ts';
import type { PreheatSnapshot } from '../../src/pull/preheat/preheat-snapshot.ts';
import type { AdminApi } from '../support/admin-api.ts';
import type { PullClient } from '../support/client.ts';
import { Gate } from '../support/gate.ts';
import { pull } from '../support/pull.ts';
import { inScene } from './scene.ts';

// Images of one seed share the layers that they have in common.
const image = buildImage({ seed: 'images', layerSizes: [300_000] });
const larger = buildImage({ seed: 'images', layerSizes: [300_000, 200_000] });
const shared = image.layers[0] as Content;
const own = larger.layers[1] as Content;

async function listed(admin: AdminApi, query = 'sort=name'): Promise<readonly ImageSnapshot[]> {
  const page = await admin.json(`/api/v1/images?${query}`);
  assert.equal(imagesPage.safeParse(page).error, undefined);
  return (page as { images: ImageSnapshot[] }).images;
}

async function purge(admin: AdminApi, name: string): Promise<PurgeSnapshot> {
  const { status, json } = await admin.change('DELETE', `/api/v1/images?image=${encodeURIComponent(name)}`);
  assert.equal(status, 200, JSON.stringify(json));
  assert.equal(purged.safeParse(json).error, undefined);
  return json as PurgeSnapshot;
}

async function pin(admin: AdminApi, method: 'PUT' | 'DELETE', name: string): Promise<unknown> {
  const { status, json } = await admin.change(method, `/api/v1/pins?image=${encodeURIComponent(name)}`);
  assert.equal(status, 200, JSON.stringify(json));
  assert.equal(pinned.safeParse(json).error, undefined);
  return json;
}

async function startPreheat(admin: AdminApi, images: readonly string[], platforms?: readonly string[]) {
  const { status, json } = await admin.change('POST', '/api/v1/preheats', { images, platforms });
  assert.equal(status, 202, JSON.stringify(json));
  return (json as PreheatSnapshot).id;
}

async function preheatOf(admin: AdminApi, id: string): Promise<PreheatSnapshot> {
  const snapshot = await admin.json(`/api/v1/preheats/${id}`);
  assert.equal(preheat.safeParse(snapshot).error, undefined);
  return snapshot as PreheatSnapshot;
}

function ended(admin: AdminApi, id: string): Promise<PreheatSnapshot> {
  return admin.until(
    () => preheatOf(admin, id),
    ({ endedAtMs }) => endedAtMs !== undefined,
  );
}

async function pullAll(client: PullClient, repository: string, tag: string, { config, layers }: Image): Promise<void> {
  assert.equal((await client.manifest(repository, tag)).status, 200);
  for (const { digest } of [config, ...layers]) assert.equal((await client.blob(repository, digest)).digest, digest);
}

function sizeOf({ manifest, config, layers }: Image): number {
  return [manifest, config, ...layers].reduce((sum, { bytes }) => sum + bytes.length, 0);
}

test('the list has what was pulled, by its names', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    const { admin } = onepull;
    assert.deepEqual(await admin.json('/api/v1/images'), { images: [], total: 0 });
    registry.content.add('org/app', larger, 'v1', 'v2');
    registry.content.add('org/other', image);
    await pullAll(client, 'org/app', 'v1', larger);
    await client.manifest('org/app', 'v2');
    await client.manifest('org/other', image.manifest.digest);
    // A response may end a moment before its blob is in the store.
    await onepull.assertIdle();
    const images = await listed(admin);
    assert.deepEqual(
      images.map(({ image: name, storedBytes, isPinned }) => [name, storedBytes, isPinned]),
      [
        ['demo.example/org/app:v1', sizeOf(larger), false],
        ['demo.example/org/app:v2', sizeOf(larger), false],
        [`demo.example/org/other@${image.manifest.digest}`, image.manifest.bytes.length + shared.bytes.length, false],
      ],
    );
    assert.deepEqual([images[0]?.sizeBytes, images[0]?.platforms], [sizeOf(larger), ['linux/amd64']]);
    assert.equal(images[0]?.pulls, undefined, 'the manifest was pulled last by another name');
    assert.equal(images[1]?.pulls, 2);
    assert.deepEqual(
      (await listed(admin, 'search=OTHER')).map(({ image: name }) => name),
      [`demo.example/org/other@${image.manifest.digest}`],
    );
    const first = (await admin.json('/api/v1/images?sort=name&limit=2')) as { total: number; after: string };
    assert.equal(first.total, 3);
    assert.equal((await listed(admin, `sort=name&limit=2&after=${first.after}`)).length, 1);
    for (const wrong of ['limit=0', 'limit=201', 'limit=x', 'sort=color', 'serach=x', 'after=x', 'after=WzFd']) {
      const { status, text } = await admin.get(`/api/v1/images?${wrong}`);
      assert.equal(status, 400, text);
    }
  }));

test('a purged image is asked for anew, and what another image shares stays', () =>
  inScene({ upstream: { tagTtl: '1h' } }, async ({ registry, onepull, client }) => {
    const { admin } = onepull;
    registry.content.add('org/app', larger, 'v1');
    registry.content.add('org/app', image, 'v2');
    await pullAll(client, 'org/app', 'v1', larger);
    await pullAll(client, 'org/app', 'v2', image);
    // So often that gateways answer by themselves.
    for (let n = 0; n < 3; n++) await pullAll(client, 'org/app', 'v1', larger);
    // What a fill is still to put into the store is left to it.
    await onepull.assertIdle();
    const before = registry.tally.count();
    const ofLarger = [larger.manifest, larger.config, own];
    const { removed, blobs, freedBytes, following } = await purge(admin, 'org/app:v1');
    assert.deepEqual([removed, blobs], [['demo.example/org/app:v1'], 3]);
    // A response is over for its client a moment before it is for the gateway.
    const allBytes = following.reduce((sum, { sizeBytes }) => sum + sizeBytes, freedBytes);
    assert.equal(
      allBytes,
      ofLarger.reduce((sum, { bytes }) => sum + bytes.length, 0),
    );
    assert.deepEqual(
      (await listed(admin)).map(({ image: name }) => name),
      ['demo.example/org/app:v2'],
    );
    assert.equal(registry.tally.count(), before);
    // As containerd asks: where the tag points, then for the manifest by its digest.
    await client.headManifest('org/app', 'v1');
    await client.manifest('org/app', larger.manifest.digest);
    for (let n = 0; n < 2; n++) await pullAll(client, 'org/app', 'v1', larger);
    for (const { digest } of ofLarger) assert.equal(registry.tally.bodies(digest).length, 2, digest);
    assert.equal(registry.tally.bodies(shared.digest).length, 1);
    const { status } = await admin.change('DELETE', '/api/v1/images?image=org/app:v3');
    assert.equal(status, 404);
    assert.equal((await admin.change('DELETE', '/api/v1/images')).status, 400);
  }));

test('a purge takes nothing from who reads, and gives its room back when that has ended', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    const { admin } = onepull;
    // More than sockets hold: the reader is in the middle of it.
    const big = buildImage({ seed: 'images-big', layerSizes: [48 * 2 ** 20] });
    const layer = big.layers[0] as Content;
    registry.content.add('org/app', big, 'v1');
    await pullAll(client, 'org/app', 'v1', big);
    // Its readers have a large layer before the disk does.
    await onepull.assertIdle();
    const gate = new Gate();
    const reading = client.blob('org/app', layer.digest, { pauseAt: { afterBytes: 100_000, gate } });
    await gate.reached;
    const result = await purge(admin, 'org/app:v1');
    const followed = result.following.find(({ digest }) => digest === layer.digest);
    assert.equal(followed?.sizeBytes, layer.bytes.length);
    assert.deepEqual(await readdir(join(onepull.dataFolder, 'blobs/sha256')), []);
    gate.release();
    assert.equal((await reading).digest, layer.digest);
    await pullAll(client, 'org/app', 'v1', big);
    assert.equal(registry.tally.bytesSent(layer.digest), 2 * layer.bytes.length);
  }));

test('a purge leaves a pull in progress to its clients', () =>
  inScene({}, async ({ registry, onepull: { admin }, client }) => {
    registry.content.add('org/app', image, 'v1');
    const hold = registry.hold(shared.digest, 100_000);
    await client.manifest('org/app', 'v1');
    const pulling = client.blob('org/app', shared.digest);
    await hold.reached;
    const { following } = await purge(admin, 'org/app:v1');
    assert.ok(following.some(({ digest }) => digest === shared.digest));
    hold.release();
    assert.equal((await pulling).digest, shared.digest);
    await admin.until(
      () => admin.json('/api/v1/status'),
      (status) => (status as { cache: { blobs: number } }).cache.blobs === 0,
    );
    assert.equal(registry.tally.bodies(shared.digest).length, 1);
  }));

test('a pinned image stays whatever has to leave, over a restart, and says when it takes all', () =>
  inScene({ configuration: { storage: { maxSize: '1MiB' } } }, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', larger, 'v1');
    await pullAll(client, 'org/app', 'v1', larger);
    assert.deepEqual(await pin(onepull.admin, 'PUT', 'org/app:v1'), {
      image: 'demo.example/org/app:v1',
      isPinned: true,
    });
    const all = buildImage({ seed: 'images-all', layerSizes: [470_000] });
    registry.content.add('org/all', all, 'v1');
    await pull(onepull.url, 'org/all', 'v1');
    await pin(onepull.admin, 'PUT', 'org/all:v1');
    await onepull.admin.until(
      (admin) => admin.text('/readyz'),
      (text) => text.includes('pinned images take'),
    );
    await pin(onepull.admin, 'DELETE', 'org/all:v1');
    assert.deepEqual(await onepull.admin.json('/readyz'), { status: 'ready' });
    await onepull.restart();
    const others = [1, 2, 3, 4].map((n) => buildImage({ seed: `images-${n}`, layerSizes: [400_000] }));
    for (const [n, other] of others.entries()) {
      registry.content.add('org/other', other, `v${n}`);
      await pull(onepull.url, 'org/other', `v${n}`);
    }
    const kept = await listed(onepull.admin);
    const app = kept.find(({ image: name }) => name === 'demo.example/org/app:v1');
    assert.deepEqual([app?.storedBytes, app?.isPinned], [sizeOf(larger), true]);
    assert.ok(kept.length < 6, 'others had to leave');
    const { status, json } = await onepull.admin.change('DELETE', '/api/v1/images?image=org/app:v1');
    assert.equal(status, 409);
    assert.match(JSON.stringify(json), /demo\.example\/org\/app:v1 is pinned: unpin it first/);
    assert.equal((await onepull.admin.change('PUT', '/api/v1/pins?image=org/app:v9')).status, 404);
  }));

test('a preheat and clients that pull the same cost upstream one pull', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    const { admin } = onepull;
    registry.content.add('org/app', larger, 'v1');
    const hold = registry.hold(own.digest, 50_000);
    const id = await startPreheat(admin, ['org/app:v1']);
    await hold.reached;
    const reading = client.blob('org/app', own.digest);
    const [{ layers = [] } = {}] = (await preheatOf(admin, id)).images;
    const layer = layers.find(({ digest }) => digest === own.digest);
    assert.deepEqual([layer?.state, layer?.sizeBytes], ['pulling', own.bytes.length]);
    await admin.until(
      () => admin.flights(),
      (flights) => flights.some(({ digest, waiters }) => digest === own.digest && waiters === 2),
    );
    hold.release();
    assert.equal((await reading).digest, own.digest);
    const done = await ended(admin, id);
    assert.deepEqual([done.state, done.sizeBytes - done.filledBytes], ['done', 0]);
    await pull(onepull.url, 'org/app', 'v1');
    assert.equal(registry.tally.bytesSent(), sizeOf(larger));
    const { preheats } = (await admin.json('/api/v1/preheats')) as { preheats: object[] };
    assert.equal(preheats.length, 1);
    assert.equal(preheatSummary.safeParse(preheats[0]).error, undefined);
  }));

test('a preheat of one platform of an index fetches no byte of the others', () =>
  inScene({}, async ({ registry, onepull }) => {
    const platforms = ['amd64', 'arm64', 's390x'].map((architecture) => ({ os: 'linux', architecture }));
    const index = buildIndex({ seed: 'images-index', layerSizes: [100_000], platforms });
    registry.content.add('org/app', index, 'v1');
    const { admin } = onepull;
    const chosen = await ended(admin, await startPreheat(admin, ['org/app:v1'], ['linux/arm64']));
    assert.deepEqual([chosen.state, chosen.images[0]?.platforms], ['done', ['linux/arm64']]);
    const arm64 = index.images[1] as Image;
    assert.equal(registry.tally.bytesSent(), index.index.bytes.length + sizeOf(arm64));
    const [shown] = await listed(admin);
    assert.deepEqual(shown?.platforms, ['linux/arm64'], 'the only one of which anything is here');
    const others = ['linux/amd64', 'linux/s390x'].map((platform) => ({ platform, storedBytes: 0 }));
    assert.deepEqual(shown?.otherPlatforms, others);
    const pulledBytes = index.index.bytes.length + sizeOf(arm64);
    assert.deepEqual([shown?.sizeBytes, shown?.storedBytes], [pulledBytes, pulledBytes]);
    assert.equal((await ended(admin, await startPreheat(admin, ['org/app:v1']))).state, 'done');
    assert.equal(registry.tally.bytesSent(), index.totalBytes);
  }));

test('a platform of which a layer is missing is not among those that are here, and says how much of it is', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
    const index = buildIndex({ seed: 'images-partly', layerSizes: [100_000, 50_000], platforms });
    const [amd64, arm64] = index.images as [Image, Image];
    registry.content.add('org/app', index, 'v1');
    await client.manifest('org/app', 'v1');
    await pullAll(client, 'org/app', amd64.manifest.digest, amd64);
    await client.manifest('org/app', arm64.manifest.digest);
    const [first, last] = arm64.layers as [Content, Content];
    for (const { digest } of [arm64.config, first]) await client.blob('org/app', digest);
    await onepull.assertIdle();
    const [partly] = await listed(onepull.admin);
    const sizeBytes = sizeOf(arm64);
    const isShared = amd64.layers.some(({ digest }) => digest === last.digest);
    assert.ok(!isShared, 'or nothing would be missing');
    assert.deepEqual(
      [partly?.platforms, partly?.otherPlatforms],
      [['linux/amd64'], [{ platform: 'linux/arm64', sizeBytes, storedBytes: sizeBytes - last.bytes.length }]],
    );
    await client.blob('org/app', last.digest);
    await onepull.assertIdle();
    const [whole] = await listed(onepull.admin);
    assert.deepEqual([whole?.platforms, whole?.otherPlatforms], [['linux/amd64', 'linux/arm64'], []]);
  }));

test('layers that are to come from elsewhere are not missing', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    const document = JSON.parse(Buffer.from(image.manifest.bytes).toString());
    const mediaType = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip';
    const urls = ['https://elsewhere.example/layer'];
    document.layers.push({ mediaType, digest: digestOf(Buffer.from('elsewhere')), size: 1000, urls });
    const bytes = Buffer.from(JSON.stringify(document));
    const windows = { ...image, manifest: { ...image.manifest, bytes, digest: digestOf(bytes) } };
    registry.content.add('org/app', windows, 'v1');
    await pullAll(client, 'org/app', 'v1', windows);
    await onepull.assertIdle();
    const [shown] = await listed(onepull.admin);
    assert.deepEqual([shown?.platforms, shown?.otherPlatforms], [['linux/amd64'], []]);
  }));

test('a preheat is cancelled, and says what is wrong with which image', () =>
  inScene({}, async ({ registry, onepull: { admin } }) => {
    registry.content.add('org/app', larger, 'v1');
    const hold = registry.hold(own.digest, 50_000);
    const id = await startPreheat(admin, ['org/app:v1', 'org/none:v1']);
    await hold.reached;
    assert.equal((await admin.change('DELETE', `/api/v1/preheats/${id}`)).status, 200);
    const { state, images } = await ended(admin, id);
    assert.equal(state, 'cancelled');
    assert.equal(images[0]?.state, 'cancelled');
    hold.release();
    const failed = await ended(admin, await startPreheat(admin, ['org/app:v1', 'org/app:none']));
    assert.deepEqual(
      failed.images.map((one) => one.state),
      ['done', 'failed'],
    );
    assert.match(failed.images[1]?.error ?? '', /404|not known|unknown|no such/i);
    for (const body of [
      undefined,
      {},
      { images: [] },
      { images: ['a:b:c'] },
      { images: ['x'], platforms: ['linux'] },
      [],
    ]) {
      const { status, json } = await admin.change('POST', '/api/v1/preheats', body);
      assert.equal(status, 400, JSON.stringify(json));
    }
    for (const method of ['GET', 'DELETE'] as const) {
      const path = '/api/v1/preheats/none';
      const { status } = method === 'GET' ? await admin.get(path) : await admin.change(method, path);
      assert.equal(status, 404);
    }
  }));
