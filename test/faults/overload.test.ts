import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import type { Download } from '../support/client.ts';
import * as faults from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { untilUp } from '../support/loopback.ts';
import { testThreads } from '../support/test-threads.ts';
import { assertKept, assertWhole, errorIn, inWorld, told } from './world.ts';

const repository = 'org/app';
const image = buildImage({ seed: 'overload', layerSizes: [600_000, 700_000, 800_000] });
const [first, second, third] = image.layers as [Content, Content, Content];

test('one flight more than there may be is 503 with Retry-After; those under way go on and can be joined', () =>
  inWorld({ pull: { maxFlights: 2 } }, async (world) => {
    const { registry, client } = world;
    registry.content.add(repository, image, 'v1');
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    const holds = [first, second].map(({ digest }) => registry.hold(digest, 100_000));
    const running = [first, second].map(({ digest }) => client.blob(repository, digest));
    await Promise.all(holds.map(({ reached }) => reached));
    const refused = await client.blob(repository, third.digest);
    assert.equal(told(refused), '503 UNAVAILABLE');
    assert.match(errorIn(refused).retryAfter ?? '', /^[1-9]\d*$/);
    const joined = world.crowd(4).map((each) => each.blob(repository, first.digest));
    for (const hold of holds) hold.release();
    const [one, two] = await Promise.all(running);
    if (one !== undefined && two !== undefined) {
      assertWhole(one, first);
      assertWhole(two, second);
    }
    for (const download of await Promise.all(joined)) assertWhole(download, first);
    await world.landed();
    assertWhole(await client.blob(repository, third.digest), third);
    await assertKept(world, third);
  }));

test('one connection more than there may be is 503 with Retry-After; pulls under way go on', () =>
  inWorld({ server: { maxConnections: 4 } }, async (world) => {
    const { registry } = world;
    registry.content.add(repository, image, 'v1');
    const clients = world.crowd(4);
    for (const client of clients) assert.equal((await client.manifest(repository, 'v1')).status, 200);
    const hold = registry.hold(first.digest, 100_000);
    const running = clients.map((client) => client.blob(repository, first.digest));
    await hold.reached;
    const refused = await Promise.all(world.crowd(8).map((client) => client.blob(repository, first.digest)));
    for (const download of refused) {
      assert.equal(told(download), '503 UNAVAILABLE');
      assert.match(errorIn(download).retryAfter ?? '', /^[1-9]\d*$/);
    }
    hold.release();
    for (const download of await Promise.all(running)) assertWhole(download, first);
    for (const client of clients) await client[Symbol.asyncDispose]();
    await untilUp(async () => {
      const download = await world.crowd(1)[0]?.blob(repository, first.digest);
      return download?.status === 200;
    }, 'a place for a new connection');
  }));

test('a crowd beyond the bound of answers is told so at once, asks upstream for nothing, and is served when it comes back', () =>
  inWorld({ server: { maxResponses: 40 } }, async (world) => {
    const { registry, client, admin } = world;
    registry.content.add(repository, image, 'v1');
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    const gate = new Gate();
    registry.always({ kind: 'blob' }, faults.slowHeaders(gate));
    const running = world.crowd(40).map((each) => each.blob(repository, first.digest));
    await admin.until(
      () => admin.metric('onepull_responses'),
      (responses) => responses === 40,
    );
    const crowd = world.crowd(60);
    const refused = await Promise.all(crowd.map((each) => each.blob(repository, second.digest)));
    for (const download of refused) assert.equal(told(download), '503 UNAVAILABLE');
    const waits = refused.map((download) => errorIn(download).retryAfter ?? '');
    for (const wait of waits) assert.match(wait, /^[1-5]$/);
    assert.ok(new Set(waits).size > 1, 'all are told to come back at the same time');
    for (const download of refused) assert.equal(download.headers.connection, 'keep-alive');
    assert.equal(registry.tally.count({ kind: 'blob', reference: second.digest }), 0);
    assert.equal((await client.headBlob(repository, first.digest)).status, 200);
    assert.equal((await client.get('')).status, 200);
    assert.equal((await admin.get('/healthz')).status, 200);
    assert.equal((await admin.get('/readyz')).status, 200);
    assert.equal(await admin.metric('onepull_refused_total', { bound: 'responses' }), 60);
    // Each gateway says it once, those that refused nobody not at all.
    const said = world.notices.filter(({ fields }) => fields?.event === 'overloaded').length;
    assert.ok(said >= 1 && said <= Math.max(1, testThreads), `said ${said} times`);
    gate.release();
    for (const download of await Promise.all(running)) assertWhole(download, first);
    await admin.until(
      () => admin.metric('onepull_responses'),
      (responses) => responses === 0,
    );
    const again = await Promise.all(crowd.slice(0, 40).map((each) => each.blob(repository, second.digest)));
    for (const download of again) assertWhole(download, second);
    assert.equal(registry.tally.bytesSent(first.digest), first.bytes.length);
    assert.equal(registry.tally.bytesSent(second.digest), second.bytes.length);
  }));

test('bytes that clients do not take keep new bodies out, and no answer under way', () =>
  inWorld({ server: { maxQueued: '1MiB', memory: '32MiB' } }, async (world) => {
    const { registry, client, admin } = world;
    const huge = buildImage({ seed: 'queued', layerSizes: [60_000_000] });
    // Each is stuck elsewhere, for what many share counts once; with more than what the kernel takes for it.
    const partBytes = 20_000_000;
    const starts = Array.from({ length: 100 }, (_, n) => n * 400_000);
    const layer = huge.layers[0] as Content;
    registry.content.add(repository, huge, 'v1');
    registry.content.add('org/small', image, 'v1');
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    assert.equal((await client.manifest('org/small', 'v1')).status, 200);
    assertWhole(await client.blob(repository, layer.digest, { expected: layer }), layer);
    await world.landed();
    const stuck: { gate: Gate; part: Uint8Array; download: Promise<Download> }[] = [];
    let refused: Download | undefined;
    for (const start of starts) {
      if (refused !== undefined) break;
      const gate = new Gate();
      const range = { start, end: start + partBytes };
      // Further than an error goes.
      const options = { range, pauseAt: { afterBytes: 1_000, gate } };
      const download = world.crowd(1)[0]?.blob(repository, layer.digest, options);
      assert.ok(download);
      refused = (await Promise.race([gate.reached, download])) ?? undefined;
      if (refused === undefined) stuck.push({ gate, part: layer.bytes.subarray(start, start + partBytes), download });
    }
    assert.ok(refused, `${stuck.length} clients take nothing, and none is refused`);
    assert.equal(told(refused), '503 UNAVAILABLE');
    assert.equal((await admin.get('/readyz')).status, 200);
    for (const { gate } of stuck) gate.release();
    for (const { part, download } of stuck) {
      const { outcome, digest } = await download;
      assert.deepEqual({ outcome, digest }, { outcome: 'complete', digest: digestOf(part) });
    }
    assertWhole(await client.blob('org/small', first.digest), first);
    assert.equal(await admin.metric('onepull_refused_total', { bound: 'queued-bytes' }), 1);
  }));
