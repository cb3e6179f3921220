import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { EventStream } from '../support/event-stream.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { pull } from '../support/pull.ts';
import { inScene, leavingNothing } from './scene.ts';

const image = buildImage({ seed: 'admin', layerSizes: [300_000, 100_000] });
const token = 'a-token-that-nobody-guesses';
const name = 'docker.io/library/none:v1';

/** Like fetch, which sets some headers itself. */
function ask(url: string, options: RequestOptions): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { agent: false, ...options }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    })
      .on('error', reject)
      .end();
  });
}

function purge(onepull: OnepullApp, headers: Record<string, string>): Promise<number | undefined> {
  const url = `${onepull.adminUrl}/api/v1/images?image=${encodeURIComponent(name)}`;
  return ask(url, { method: 'DELETE', headers: { 'content-type': 'application/json', ...headers } });
}

test('changes need the token of the configuration; a token in a file can be replaced while it runs', () =>
  leavingNothing(async () => {
    await using folder = await TemporaryDirectory.make();
    const file = join(folder.path, 'token');
    await writeFile(file, `${token}\n`);
    for (const configuration of [{ adminToken: token }, { adminTokenFile: file }]) {
      await using onepull = await OnepullApp.start(configuration);
      assert.equal(await purge(onepull, {}), 401);
      assert.equal(await purge(onepull, { authorization: `Bearer ${token}x` }), 401);
      assert.equal(await purge(onepull, { authorization: `Bearer ${token}` }), 404, 'there is no such image');
      assert.equal((await onepull.admin.get('/api/v1/status')).status, 200);
      const said = JSON.stringify(onepull.log) + (await onepull.admin.text('/api/v1/settings'));
      assert.doesNotMatch(said, /guesses/);
      if (!('adminTokenFile' in configuration)) continue;
      await writeFile(file, 'another-one-that-nobody-guesses');
      assert.equal(await purge(onepull, { authorization: `Bearer ${token}` }), 401);
      assert.equal(await purge(onepull, { authorization: 'Bearer another-one-that-nobody-guesses' }), 404);
      await writeFile(file, '');
      assert.equal(await purge(onepull, { authorization: 'Bearer ' }), 500);
    }
  }));

test('a page of another origin, and a name that was rebound, change nothing', () =>
  leavingNothing(async () => {
    await using onepull = await OnepullApp.start();
    for (const headers of [
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'cross-site' },
      { host: 'evil.example', origin: 'http://evil.example' },
    ]) {
      assert.equal(await purge(onepull, headers), 403);
    }
    assert.equal(await purge(onepull, { 'content-type': 'text/plain' }), 415);
    assert.equal(await purge(onepull, {}), 404);
  }));

test('the settings in force are shown with who said so', () =>
  leavingNothing(async () => {
    await using onepull = await OnepullApp.start({ pull: { maxFlights: 7 } });
    const { settings } = (await onepull.admin.json('/api/v1/settings')) as {
      settings: { path: string; value: unknown; source: string }[];
    };
    const found = settings.find(({ path }) => path === 'pull.maxFlights');
    assert.equal(found?.value, 7);
    assert.match(found?.source ?? '', /onepull\.yaml:\d+:\d+$/);
  }));

test('status, effect and metrics tell the same, whoever asked and in whatever thread', () =>
  inScene({}, async ({ registry, onepull: { admin, url } }) => {
    registry.content.add('org/app', image, 'v1');
    for (let times = 0; times < 3; times++) await pull(url, 'org/app', 'v1');
    interface Status {
      readonly effect: Readonly<Record<string, number>>;
      readonly cache: { readonly images: number; readonly blobs: number };
      readonly pulls: Readonly<Record<string, number>>;
    }
    await admin.until(
      async () => {
        const { effect } = (await admin.json('/api/v1/status')) as Status;
        return [effect.servedBytes, await admin.metric('onepull_served_bytes_total')];
      },
      ([shown, metric]) => shown === metric && shown === 3 * image.totalBytes,
    );
    const { effect, cache, pulls } = (await admin.json('/api/v1/status')) as Status;
    assert.equal(effect.requests, await admin.metric('onepull_requests_total'));
    assert.equal(effect.upstreamBytes, await admin.metric('onepull_upstream_bytes_total'));
    assert.equal(effect.upstreamRequests, await admin.metric('onepull_upstream_requests_total'));
    assert.equal(effect.coalescedRequests, await admin.metric('onepull_coalesced_requests_total'));
    assert.equal(effect.savedBytes, (effect.servedBytes ?? 0) - (effect.upstreamBytes ?? 0));
    assert.ok((effect.hitRatio ?? 0) > 0.5);
    assert.deepEqual([cache.images, pulls.done], [1, 1]);
    const { upstreams } = (await admin.json('/api/v1/effect')) as { upstreams: { name: string; bytes: number }[] };
    assert.deepEqual(
      upstreams.map(({ name: upstream, bytes }) => [upstream, bytes]),
      [['demo.example', effect.upstreamBytes]],
    );
  }));

test('a viewer sees a pull come and go, without asking again', () =>
  inScene({}, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    await using viewer = await EventStream.open(`${onepull.adminUrl}/api/v1/events`);
    const first = await viewer.next();
    assert.deepEqual([first?.event, first?.data.pulls], ['state', {}]);
    const layer = image.layers[0]?.digest ?? assert.fail();
    const hold = registry.hold(layer, 150_000);
    const pulling = pull(onepull.url, 'org/app', 'v1');
    const stateIs = (state: string) =>
      viewer.until((_, { pulls }) => JSON.stringify(pulls).includes(`"state":"${state}"`));
    await hold.reached;
    const during = await stateIs('pulling');
    assert.equal(during.event, 'change');
    assert.match(JSON.stringify(viewer.state.pulls), /demo\.example\/org\/app:v1/);
    hold.release();
    await pulling;
    await viewer.until((_, { status }) => (status as { pulls: { done: number } }).pulls.done === 1);
  }));

test('viewers hold up no stop: their streams end, in order', async () => {
  await using onepull = await OnepullProcess.start();
  const viewers = await Promise.all([1, 2, 3].map(() => EventStream.open(`${onepull.adminUrl}/api/v1/events`)));
  for (const viewer of viewers) await viewer.next();
  const ended = viewers.map(async (viewer) => {
    while ((await viewer.next()) !== undefined);
  });
  const { code } = await onepull.terminate();
  assert.equal(code, 0);
  await Promise.all(ended);
  for (const viewer of viewers) await viewer[Symbol.asyncDispose]();
});
