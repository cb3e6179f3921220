import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { imagesPage } from '../../src/admin/description/image-fields.ts';
import { preheat } from '../../src/admin/description/preheat-fields.ts';
import { buildImage, buildIndex, type Image } from '../../src/cli/demo/image.ts';
import type { ImageSnapshot } from '../../src/pull/image-snapshot.ts';
import type { PreheatSnapshot } from '../../src/pull/preheat/preheat-snapshot.ts';
import { Layout } from '../../src/store/fs/layout.ts';
import { pull } from '../support/pull.ts';
import { inScene, type Scene } from './scene.ts';

const mebibyte = 2 ** 20;
const configuration = { storage: { maxSize: '12MiB', scrubRate: '0' } };

function imageOf(seed: string, ...layerMebibytes: readonly number[]): Image {
  return buildImage({ seed, layerSizes: layerMebibytes.map((size) => Math.round(size * mebibyte)) });
}

async function startPreheat({ onepull: { admin } }: Scene, ...images: readonly string[]): Promise<string> {
  const { status, json } = await admin.change('POST', '/api/v1/preheats', { images });
  assert.equal(status, 202, JSON.stringify(json));
  return (json as PreheatSnapshot).id;
}

async function preheatOf({ onepull: { admin } }: Scene, id: string): Promise<PreheatSnapshot> {
  const snapshot = await admin.json(`/api/v1/preheats/${id}`);
  assert.equal(preheat.safeParse(snapshot).error, undefined);
  return snapshot as PreheatSnapshot;
}

function ended(scene: Scene, id: string): Promise<PreheatSnapshot> {
  return scene.onepull.admin.until(
    () => preheatOf(scene, id),
    ({ endedAtMs }) => endedAtMs !== undefined,
  );
}

async function listed({ onepull: { admin } }: Scene): Promise<ReadonlyMap<string, ImageSnapshot>> {
  const page = await admin.json('/api/v1/images');
  assert.equal(imagesPage.safeParse(page).error, undefined);
  const { images } = page as { images: ImageSnapshot[] };
  return new Map(images.map((image) => [image.image.replace('demo.example/org/', ''), image]));
}

async function isHere({ onepull }: Scene, { manifest, config, layers }: Image): Promise<boolean> {
  const stored = new Set(await readdir(new Layout(onepull.dataFolder).blobFolder('sha256')));
  return [manifest, config, ...layers].every(({ digest }) => stored.has(digest.replace('sha256:', '')));
}

async function pin({ onepull: { admin } }: Scene, image: string): Promise<void> {
  const { status, json } = await admin.change('PUT', `/api/v1/pins?image=${encodeURIComponent(image)}`);
  assert.equal(status, 200, JSON.stringify(json));
}

test('images that do not fit together do not push each other out: those that are said to be here are, the others fail', () =>
  inScene({ configuration }, async (scene) => {
    const { registry, onepull } = scene;
    const [big, app, small] = [imageOf('big', 6), imageOf('app', 2.5, 2.5), imageOf('small', 0.25)];
    const multi = buildIndex({
      seed: 'multi',
      layerSizes: [4.5 * mebibyte],
      platforms: [
        { os: 'linux', architecture: 'amd64' },
        { os: 'linux', architecture: 'arm64' },
      ],
    });
    for (const [name, image] of Object.entries({ big, app, small })) registry.content.add(`org/${name}`, image, 'v1');
    registry.content.add('org/multi', multi, 'v1');
    await pull(onepull.url, 'org/big', 'v1');
    await pin(scene, 'org/big:v1');
    const { state, images } = await ended(
      scene,
      await startPreheat(scene, 'org/app:v1', 'org/multi:v1', 'org/small:v1'),
    );
    const states = images.map((image) => image.state);
    // Which of the two came first to the room for all of it is a matter of chance.
    assert.deepEqual([state, states[2], states.filter((one) => one === 'failed').length], ['failed', 'done', 1]);
    const failed = images.find((image) => image.state === 'failed');
    assert.match(failed?.error ?? '', /^there is no room for the [459]\.\d MiB that are missing: of the 12\.0 MiB/);
    const list = await listed(scene);
    for (const [index, name] of ['app:v1', 'multi:v1', 'small:v1'].entries()) {
      const image = list.get(name);
      if (states[index] !== 'done') continue;
      assert.equal(image?.storedBytes, image?.sizeBytes, `${name} is here whole`);
      await pin(scene, `org/${name}`);
    }
    assert.ok((await isHere(scene, app)) === (states[0] === 'done') && (await isHere(scene, small)));
  }));

test('what a preheat brought stays while it goes on, whatever clients pull meanwhile', () =>
  inScene({ configuration }, async (scene) => {
    const { registry, onepull } = scene;
    const [first, last, other] = [imageOf('first', 3), imageOf('last', 3), imageOf('other', 5)];
    for (const [name, image] of Object.entries({ first, last, other }))
      registry.content.add(`org/${name}`, image, 'v1');
    const held = registry.hold(last.layers[0]?.digest ?? first.manifest.digest, mebibyte);
    const id = await startPreheat(scene, 'org/first:v1', 'org/last:v1');
    await held.reached;
    await onepull.admin.until(
      () => preheatOf(scene, id),
      ({ images }) => images[0]?.state === 'done',
    );
    for (const name of ['other', 'other', 'other']) await pull(onepull.url, `org/${name}`, 'v1');
    const [more] = [imageOf('more', 4)];
    registry.content.add('org/more', more, 'v1');
    await pull(onepull.url, 'org/more', 'v1');
    held.release();
    assert.equal((await ended(scene, id)).state, 'done');
    assert.deepEqual([await isHere(scene, first), await isHere(scene, last)], [true, true]);
    assert.equal(await isHere(scene, other), false, 'it left for what came after it');
  }));

test('an image that is purged while its preheat goes on is not said to be here', () =>
  inScene({ configuration }, async (scene) => {
    const { registry, onepull } = scene;
    const [first, last] = [imageOf('first', 1), imageOf('last', 1)];
    for (const [name, image] of Object.entries({ first, last })) registry.content.add(`org/${name}`, image, 'v1');
    const held = registry.hold(last.layers[0]?.digest ?? first.manifest.digest, 1000);
    const id = await startPreheat(scene, 'org/first:v1', 'org/last:v1');
    await held.reached;
    await onepull.admin.until(
      () => preheatOf(scene, id),
      ({ images }) => images[0]?.state === 'done',
    );
    const { status } = await onepull.admin.change('DELETE', '/api/v1/images?image=org/first:v1');
    assert.equal(status, 200);
    held.release();
    const { state, images } = await ended(scene, id);
    assert.deepEqual([state, images.map((image) => image.state)], ['failed', ['failed', 'done']]);
    assert.match(images[0]?.error ?? '', /^sha256:\w+ was here and has left the cache meanwhile: it was purged/);
    assert.ok((images[0]?.filledBytes ?? 0) < (images[0]?.sizeBytes ?? 0));
  }));

test('a tag that was pushed anew is preheated as it is now, and served so to whoever asks then', () =>
  inScene({ configuration }, async (scene) => {
    const { registry, onepull } = scene;
    const [old, now] = [imageOf('old', 0.25), imageOf('now', 0.25)];
    registry.content.add('org/app', old, 'v1');
    await pull(onepull.url, 'org/app', 'v1');
    // As dockerd asks: for it the tag is known apart.
    const accept = 'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json';
    const served = async () => {
      const answer = await fetch(`${onepull.url}/v2/org/app/manifests/v1`, { headers: { accept } });
      await answer.arrayBuffer();
      return answer.headers.get('docker-content-digest');
    };
    assert.equal(await served(), old.manifest.digest);
    registry.content.add('org/app', now, 'v1');
    const { state, images } = await ended(scene, await startPreheat(scene, 'org/app:v1'));
    assert.deepEqual([state, images[0]?.manifest, images[0]?.warning], ['done', now.manifest.digest, undefined]);
    assert.equal(await served(), now.manifest.digest);
  }));
