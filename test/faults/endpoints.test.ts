import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import * as faults from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { untilUp } from '../support/loopback.ts';
import { pull } from '../support/pull.ts';
import type { ScriptedRegistry } from '../support/scripted-registry.ts';
import { assertKept, assertWhole, inWorld, told, type World, type WorldOptions } from './world.ts';

const repository = 'org/app';
const sizeBytes = 3_000_000;
const blobs = { kind: 'blob', method: 'GET' } as const;
const image = buildImage({ seed: 'endpoints', layerSizes: [sizeBytes, 50_000] });
const layer = image.layers[0] as Content;

/** A world with two endpoints that have the same image. */
function withMirror(options: WorldOptions, body: (world: World, mirror: ScriptedRegistry) => Promise<void>) {
  return inWorld({ mirrors: [{}], ...options }, async (world) => {
    const mirror = world.mirrors[0] as ScriptedRegistry;
    for (const each of [world.registry, mirror]) each.content.add(repository, image, 'v1');
    await body(world, mirror);
  });
}

function bytesSent(...registries: ScriptedRegistry[]): number {
  return registries.reduce((sum, { tally }) => sum + tally.bytesSent(layer.digest), 0);
}

/** Pulls an image of its own from both endpoints; its seed is its name. */
async function pullAnother({ url, registry }: World, mirror: ScriptedRegistry, name: string): Promise<void> {
  const another = buildImage({ seed: name, layerSizes: [20_000] });
  for (const each of [registry, mirror]) each.content.add(`org/${name}`, another, 'v1');
  await pull(url, `org/${name}`, 'v1');
}

test('the preferred endpoint is the one that is asked, as long as it works', () =>
  withMirror({}, async ({ registry, url }, mirror) => {
    await pull(url, repository, 'v1');
    assert.equal(registry.tally.bytesSent(), image.totalBytes);
    assert.equal(mirror.tally.count(), 0);
  }));

test('an endpoint that dies in mid-burst: no client notices, and no byte is fetched twice', () =>
  withMirror({}, async (world, mirror) => {
    const { registry } = world;
    const hold = registry.hold(layer.digest, 1_000_000);
    const pulls = world.crowd(16).map(() => pull(world.url, repository, 'v1', { expected: image.layers }));
    await hold.reached;
    await registry.goAway();
    hold.release();
    await Promise.all(pulls);
    assert.ok(bytesSent(registry, mirror) <= sizeBytes * 1.02, `${bytesSent(registry, mirror)} bytes were sent`);
    assert.ok(mirror.tally.bytesSent(layer.digest) >= sizeBytes - 1_100_000);
    await assertKept(world, layer);
  }));

test('a body that stands still at one endpoint goes on at the other, at the first missing byte', () =>
  withMirror({ pull: { stallTimeout: '300ms' } }, async (world, mirror) => {
    const gate = new Gate();
    world.registry.next(blobs, faults.stall(700_000, gate));
    assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
    assertWhole(await world.client.blob(repository, layer.digest), layer);
    gate.release();
    assert.ok(bytesSent(world.registry, mirror) <= sizeBytes * 1.02);
    assert.equal(mirror.tally.bodies(layer.digest)[0]?.start, 700_000);
  }));

test('an endpoint that accepts and says nothing is not waited for again, and used again once it answers', () =>
  withMirror({ upstream: { headersTimeout: '300ms', hedge: false } }, async (world, mirror) => {
    const { registry, url } = world;
    const gate = new Gate();
    registry.script = () => faults.slowHeaders(gate);
    // Some pulls find out; that is how it is known.
    for (const name of ['first', 'second', 'third', 'fourth', 'fifth']) await pullAnother(world, mirror, name);
    registry.tally.reset();
    await Promise.all(Array.from({ length: 8 }, (_, n) => pullAnother(world, mirror, `later-${n}`)));
    const asked = registry.tally.requests().filter(({ kind }) => kind !== 'ping');
    assert.equal(asked.length, 0, `${asked.map(({ kind, method }) => `${method} ${kind}`)} were sent to the dead one`);
    registry.behave();
    gate.release();
    let n = 0;
    await untilUp(async () => {
      await pullAnother(world, mirror, `back-${n++}`);
      return registry.tally.count({ kind: 'manifest' }) > 0;
    }, 'the endpoint that is back');
    await pull(url, repository, 'v1');
    assert.equal(registry.tally.bytesSent(layer.digest), sizeBytes);
  }));

test('what a lagging endpoint lacks is had from the other', () =>
  withMirror({}, async ({ registry, client, url }, mirror) => {
    registry.always({ kind: 'manifest' }, faults.status(404));
    registry.always({ kind: 'blob' }, faults.status(404));
    assert.equal((await client.manifest(repository, 'v1')).digest, image.manifest.digest);
    await pull(url, repository, 'v1');
    assert.equal(mirror.tally.bytesSent(layer.digest), sizeBytes);
  }));

test('what no endpoint has is 404', () =>
  withMirror({}, async ({ client }) => {
    assert.equal(told(await client.manifest(repository, 'absent')), '404 MANIFEST_UNKNOWN');
  }));

test('that one endpoint lacks a tag while the other is down says nothing: what is known is served on', () =>
  withMirror({ upstream: { tagTtl: '0s' } }, async ({ registry, client }, mirror) => {
    assert.equal((await client.manifest(repository, 'v1')).digest, image.manifest.digest);
    await registry.goAway();
    mirror.always({ kind: 'manifest' }, faults.status(404));
    assert.equal((await client.manifest(repository, 'v1')).digest, image.manifest.digest);
    const unknown = await client.manifest(repository, 'v2');
    assert.ok(unknown.status >= 500, `an unknown tag is ${unknown.status}: nobody could say whether it exists`);
    await registry.comeBack();
  }));

test('an endpoint whose bytes are wrong: nobody completes with them, the other one is asked', () =>
  withMirror({}, async (world, mirror) => {
    world.registry.always(blobs, faults.corrupt(1_500_000));
    assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
    // A client that had bytes of the wrong body is cut; it comes again, as clients do.
    const first = await world.client.blob(repository, layer.digest);
    if (first.outcome === 'complete') assertWhole(first, layer);
    else assertWhole(await world.client.blob(repository, layer.digest), layer);
    assert.equal(mirror.tally.bytesSent(layer.digest), sizeBytes);
    await assertKept(world, layer);
  }));

test('all endpoints dead: every waiter is told the cause; the next pull after one is back succeeds', () =>
  withMirror({ upstream: { connectTimeout: '500ms' } }, async (world, mirror) => {
    const { registry, url } = world;
    await Promise.all([registry.goAway(), mirror.goAway()]);
    const answers = await Promise.all(world.crowd(16).map((client) => client.manifest(repository, 'v1')));
    for (const answer of answers) assert.equal(told(answer), '502 UNAVAILABLE');
    await mirror.comeBack();
    // The failure is remembered for a second at most.
    await untilUp(async () => (await world.client.manifest(repository, 'v1')).status === 200, 'the first manifest');
    await pull(url, repository, 'v1');
    assert.equal(mirror.tally.bytesSent(layer.digest), sizeBytes);
    await registry.comeBack();
  }));

test('both endpoints die in mid-blob, and one comes back: the pull goes on where it was', () =>
  withMirror({}, async (world, mirror) => {
    const { registry } = world;
    assert.equal((await world.client.manifest(repository, 'v1')).status, 200);
    const hold = registry.hold(layer.digest, 1_000_000);
    const download = world.client.blob(repository, layer.digest);
    await hold.reached;
    await Promise.all([registry.goAway(), mirror.goAway()]);
    hold.release();
    await world.until(() => world.flightEvents.filter(({ event }) => event === 'source-failed').length >= 2);
    await mirror.comeBack();
    assertWhole(await download, layer);
    assert.ok(bytesSent(registry, mirror) <= sizeBytes * 1.02, `${bytesSent(registry, mirror)} bytes were sent`);
    await registry.comeBack();
  }));
