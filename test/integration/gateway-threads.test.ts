import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { GatewayCrew } from '../../src/gateway/threads/gateway-crew.ts';
import { type Download, PullClient } from '../support/client.ts';
import { inScene, type Scene } from './scene.ts';

const mebibyte = 1024 * 1024;
const image = buildImage({ seed: 'threads', layerSizes: [10 * mebibyte, mebibyte] });
const [layer, small] = image.layers as [Content, Content];

const clients = 32;

/** With two threads; a crowd is in the middle of the layer, in both of them. */
async function inMidBlob(body: (scene: Scene & CrowdInMid) => Promise<void>): Promise<void> {
  await inScene({ configuration: { server: { threads: 2 } } }, async (scene) => {
    const { gateway } = scene.onepull;
    assert(gateway instanceof GatewayCrew);
    scene.registry.content.add('org/app', image, 'v1');
    await scene.client.manifest('org/app', 'v1');
    const hold = scene.registry.hold(layer.digest, 4 * mebibyte);
    const crowd = Array.from({ length: clients }, () => new PullClient(scene.onepull.url));
    const pulls = crowd.map((client) => client.blob('org/app', layer.digest));
    await hold.reached;
    const whole = async (metric: string) =>
      scene.onepull.admin.until(
        () => scene.onepull.admin.metric(metric),
        (n) => n === clients,
      );
    await whole('onepull_flight_waiters');
    await body({ ...scene, gateway, pulls, release: hold.release });
    for (const client of crowd) await client[Symbol.asyncDispose]();
  });
}

interface CrowdInMid {
  readonly gateway: GatewayCrew;
  readonly pulls: Promise<Download>[];
  release(): void;
}

test('a gateway that dies in the middle of a blob cuts its own clients; the others notice nothing, and it is replaced', () =>
  inMidBlob(async ({ gateway, pulls, release, onepull, registry }) => {
    gateway.breakDown(0, 'throw');
    const { admin } = onepull;
    await admin.until(
      () => admin.metric('onepull_gateways_replaced_total'),
      (replaced) => replaced === 1,
    );
    release();
    const downloads = await Promise.all(pulls);
    const lost = downloads.filter(({ outcome }) => outcome !== 'complete').length;
    assert.ok(lost > 0 && lost < clients, `${lost} of ${clients} were cut`);
    for (const { outcome, digest } of downloads) if (outcome === 'complete') assert.equal(digest, layer.digest);
    assert.equal(registry.tally.bytesSent(layer.digest), layer.bytes.length);
    await admin.until(
      () => admin.metric('onepull_gateways'),
      (running) => running === 2,
    );
    // Each on a connection of its own: the kernel gives some to the new one.
    for (let count = 0; count < 16; count++) {
      await using client = new PullClient(onepull.url);
      assert.equal((await client.blob('org/app', small.digest)).digest, small.digest);
      assert.equal((await client.blob('org/app', layer.digest)).digest, layer.digest);
    }
    const line = onepull.log.find(({ event }) => event === 'gateway-died');
    assert.equal(line?.gateway, 0);
    assert.match(JSON.stringify(line), /told to break down/);
    assert.equal(await admin.metric('onepull_responses'), 0);
  }));

test('what every thread has counted adds up', () =>
  inMidBlob(async ({ pulls, release, onepull }) => {
    release();
    for (const { digest } of await Promise.all(pulls)) assert.equal(digest, layer.digest);
    const { admin } = onepull;
    await admin.until(
      () => admin.metric('onepull_requests_total', { route: 'blob' }),
      (requests) => requests === clients,
    );
    assert.equal(
      await admin.metric('onepull_served_bytes_total'),
      clients * layer.bytes.length + image.manifest.bytes.length,
    );
    await admin.until(
      async () => onepull.log.filter(({ path }) => String(path).includes('/blobs/')).length,
      (lines) => lines === clients,
    );
  }));

test('a reader far ahead of what comes has a range opened, in whichever thread it waits', () =>
  inMidBlob(async ({ pulls, release, onepull }) => {
    await using ahead = new PullClient(onepull.url);
    const start = 8 * mebibyte;
    const part = await ahead.blob('org/app', layer.digest, { range: { start, end: start + 1000 }, keep: true });
    assert.ok(part.body.equals(layer.bytes.subarray(start, start + 1000)));
    release();
    for (const { digest } of await Promise.all(pulls)) assert.equal(digest, layer.digest);
  }));
