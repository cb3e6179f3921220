import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { pull } from '../support/pull.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { inScene, leavingNothing } from './scene.ts';

const image = buildImage({ seed: 'sharing', layerSizes: [400_000, 5_000] });
const other = buildImage({ seed: 'sharing-other', layerSizes: [3_000] });
const layer = image.layers[0] as Content;

test('an image that another repository has too costs its manifest once more at most, and no blob', () =>
  inScene({}, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    registry.content.add('team/copy', image, 'v1');
    await pull(onepull.url, 'org/app', 'v1');
    registry.tally.reset();
    assert.equal((await pull(onepull.url, 'team/copy', 'v1')).totalBytes, image.totalBytes);
    assert.equal(registry.tally.count({ kind: 'blob' }), 0);
    assert.ok(registry.tally.bytesSent() <= image.manifest.bytes.length);
  }));

test('a blob that is here through another repository costs one HEAD, once', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    registry.content.add('team/copy', image, 'v1');
    await pull(onepull.url, 'org/app', 'v1');
    registry.tally.reset();
    const crowd = Array.from({ length: 8 }, () => client.blob('team/copy', layer.digest));
    for (const download of await Promise.all(crowd)) assert.equal(download.digest, layer.digest);
    await client.blob('team/copy', layer.digest);
    assert.equal(registry.tally.count(), 1);
    assert.equal(registry.tally.count({ kind: 'blob', method: 'HEAD', repository: 'team/copy' }), 1);
  }));

test('the same image in two registries is fetched once, also when both are asked at the same time', () =>
  leavingNothing(async () => {
    await using first = await ScriptedRegistry.start();
    await using second = await ScriptedRegistry.start();
    for (const registry of [first, second]) registry.content.add('org/app', image, 'v1');
    await using onepull = await OnepullApp.start({
      upstreams: { 'first.example': { url: first.url, default: true }, 'second.example': { url: second.url } },
    });
    const pulls = ['first.example', 'second.example'].map((ns) => pull(onepull.url, 'org/app', 'v1', { ns }));
    for (const { totalBytes } of await Promise.all(pulls)) assert.equal(totalBytes, image.totalBytes);
    for (const { digest, bytes } of [image.config, ...image.layers]) {
      assert.equal(first.tally.bytesSent(digest) + second.tally.bytesSent(digest), bytes.length);
    }
    await onepull.assertIdle();
  }));

test('what is here through one repository is 404 through another that upstream does not confirm', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/private', image, 'v1');
    registry.content.add('org/public', other, 'v1');
    await pull(onepull.url, 'org/private', 'v1');
    for (const repository of ['org/public', 'org/none']) {
      assert.equal((await client.blob(repository, layer.digest)).status, 404);
      assert.equal((await client.headBlob(repository, layer.digest)).status, 404);
      assert.equal((await client.blob(repository, layer.digest, { range: { start: 0, end: 1 } })).status, 404);
      assert.equal((await client.manifest(repository, image.manifest.digest)).status, 404);
      await using knowing = new PullClient(onepull.url, { headers: { 'if-none-match': `"${layer.digest}"` } });
      assert.equal((await knowing.blob(repository, layer.digest)).status, 404);
    }
  }));

test('a pull in progress cannot be joined through a repository that does not have the blob', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/private', image, 'v1');
    registry.content.add('org/public', other, 'v1');
    await client.manifest('org/private', 'v1');
    const hold = registry.hold(layer.digest, 200_000);
    const whole = client.blob('org/private', layer.digest);
    await hold.reached;
    await using stranger = new PullClient(onepull.url);
    assert.equal((await stranger.blob('org/public', layer.digest)).status, 404);
    hold.release();
    assert.equal((await whole).digest, layer.digest);
  }));

test('with upstream away nothing is served through a repository that it has not confirmed before', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    registry.content.add('team/copy', image, 'v1');
    await pull(onepull.url, 'org/app', 'v1');
    await registry.goAway();
    assert.equal((await client.blob('team/copy', layer.digest)).status, 502);
    assert.equal((await client.blob('org/app', layer.digest)).digest, layer.digest);
  }));
