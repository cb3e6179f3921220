import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Image } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { type Fault, html, rateLimited, slowHeaders, status } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { pull } from '../support/pull.ts';
import { inScene, type Scene } from './scene.ts';

const image = buildImage({ seed: 'tags', layerSizes: [2_000, 200_000] });
const moved = buildImage({ seed: 'tags-moved', layerSizes: [2_000, 150_000] });
const always = { tagTtl: '0s' };

/** Pulls the image by the tag `v1` and counts from zero. */
async function warm({ registry, onepull }: Scene, first: Image = image): Promise<void> {
  registry.content.add('org/app', first, 'v1');
  await pull(onepull.url, 'org/app', 'v1');
  registry.tally.reset();
}

test('within its TTL a warm tag is pulled without asking upstream anything', () =>
  inScene({ upstream: { tagTtl: '60s' } }, async (scene) => {
    await warm(scene);
    scene.registry.content.add('org/app', moved, 'v1');
    for (let n = 0; n < 3; n++) {
      assert.equal((await pull(scene.onepull.url, 'org/app', 'v1')).manifest, image.manifest.digest);
    }
    assert.equal(scene.registry.tally.count(), 0);
  }));

test('the TTL survives a restart', () =>
  inScene({ upstream: { tagTtl: '60s' } }, async (scene) => {
    await warm(scene);
    await scene.onepull.restart();
    assert.equal((await pull(scene.onepull.url, 'org/app', 'v1')).manifest, image.manifest.digest);
    assert.equal(scene.registry.tally.count(), 0);
  }));

test('beyond its TTL a warm tag is revalidated by HEAD, and nothing else is asked', () =>
  inScene({ upstream: always }, async (scene) => {
    await warm(scene);
    assert.equal((await pull(scene.onepull.url, 'org/app', 'v1')).manifest, image.manifest.digest);
    const asked = scene.registry.tally.requests();
    // The client asks with HEAD and with GET: each is worth a look, as nothing is fresh for any time.
    assert.equal(asked.length, 2);
    assert.ok(asked.every(({ kind, method, reference }) => `${kind} ${method} ${reference}` === 'manifest HEAD v1'));
  }));

test('a tag that moved is fetched by one GET, however many ask', () =>
  inScene({ upstream: always }, async (scene) => {
    await warm(scene);
    const { registry, onepull } = scene;
    registry.content.add('org/app', moved, 'v1');
    const pulls = await Promise.all(Array.from({ length: 16 }, () => pull(onepull.url, 'org/app', 'v1')));
    for (const { manifest } of pulls) assert.equal(manifest, moved.manifest.digest);
    assert.equal(registry.tally.count({ kind: 'manifest', method: 'GET' }), 1);
    assert.equal(registry.tally.bytesSent(), moved.totalBytes);
  }));

test('a tag that moved back is served from what is here', () =>
  inScene({ upstream: always }, async (scene) => {
    const { registry, onepull } = scene;
    await warm(scene, moved);
    await warm(scene, image);
    registry.content.add('org/app', moved, 'v1');
    assert.equal((await pull(onepull.url, 'org/app', 'v1')).manifest, moved.manifest.digest);
    assert.equal(registry.tally.bytesSent(), 0);
  }));

const troubles: Readonly<Record<string, Fault>> = {
  'limits us': rateLimited(30),
  'answers 500': status(500),
  'answers 503': status(503),
  'answers a page of HTML': html(502),
};

for (const [what, fault] of Object.entries(troubles)) {
  test(`a known tag is served stale while upstream ${what}`, () =>
    inScene({ upstream: always }, async (scene) => {
      await warm(scene);
      scene.registry.always({}, fault);
      assert.equal((await pull(scene.onepull.url, 'org/app', 'v1')).manifest, image.manifest.digest);
      assert.equal(scene.registry.tally.bytesSent(), 0);
      await scene.onepull.admin.until(
        async () => scene.onepull.log.some(({ served }) => served === 'stale'),
        (isTold) => isTold,
      );
    }));
}

test('a known tag is served stale while upstream is away, and by its new digest once it is back', () =>
  inScene({ upstream: always }, async (scene) => {
    const { registry, onepull } = scene;
    await warm(scene);
    registry.content.add('org/app', moved, 'v1');
    await registry.goAway();
    assert.equal((await pull(onepull.url, 'org/app', 'v1')).manifest, image.manifest.digest);
    await registry.comeBack();
    // That it was away is remembered for a second: a crowd does not bring the failure about again, each of them.
    await onepull.admin.until(
      async () => (await pull(onepull.url, 'org/app', 'v1')).manifest,
      (manifest) => manifest === moved.manifest.digest,
    );
  }));

test('a known tag is served stale where upstream takes long to answer, and the answer is not wasted', () =>
  inScene({ upstream: always }, async (scene) => {
    const { registry, client } = scene;
    await warm(scene);
    registry.content.add('org/app', moved, 'v1');
    const gate = new Gate();
    registry.always({ kind: 'manifest' }, slowHeaders(gate));
    const answer = await client.manifest('org/app', 'v1');
    assert.deepEqual([answer.status, answer.digest], [200, image.manifest.digest]);
    gate.release();
    assert.equal((await client.manifest('org/app', 'v1')).digest, moved.manifest.digest);
  }));

const refusals = [
  [401, 'UNAUTHORIZED'],
  [403, 'DENIED'],
] as const;

for (const [code, ociCode] of refusals) {
  test(`a known tag is refused with ${code} where upstream does not let us read it any more`, () =>
    inScene({ upstream: always }, async (scene) => {
      await warm(scene);
      scene.registry.always({ kind: 'manifest' }, status(code));
      const answer = await scene.client.manifest('org/app', 'v1');
      assert.deepEqual([answer.status, JSON.parse(answer.body.toString()).errors[0].code], [code, ociCode]);
    }));
}

test('a tag that is gone is 404, its manifest is still there by digest', () =>
  inScene({ upstream: always }, async (scene) => {
    const { registry, client } = scene;
    await warm(scene);
    registry.content.removeTag('org/app', 'v1');
    for (const answer of [await client.manifest('org/app', 'v1'), await client.manifest('org/app', 'v1')]) {
      assert.deepEqual([answer.status, JSON.parse(answer.body.toString()).errors[0].code], [404, 'MANIFEST_UNKNOWN']);
    }
    assert.equal((await client.manifest('org/app', image.manifest.digest)).digest, image.manifest.digest);
    assert.equal(registry.tally.count(), 1);
  }));

test('a tag that nobody knows yet is told as limited where upstream limits us, with its Retry-After', () =>
  inScene({ configuration: { pull: { headerTimeout: '300ms' } } }, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    registry.always({}, rateLimited(30));
    const clients = Array.from({ length: 8 }, () => new PullClient(onepull.url));
    const answers = await Promise.all(clients.map((client) => client.manifest('org/app', 'v1')));
    for (const { status: code, headers, body } of answers) {
      assert.equal(code, 429);
      assert.ok(Number(headers['retry-after']) > 0 && Number(headers['retry-after']) <= 30);
      assert.equal(JSON.parse(body.toString()).errors[0].code, 'TOOMANYREQUESTS');
    }
    assert.equal(registry.tally.count(), 1);
    for (const client of clients) await client[Symbol.asyncDispose]();
  }));
