import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { PullClient } from '../support/client.ts';
import { Gate } from '../support/gate.ts';
import { pull } from '../support/pull.ts';
import { inScene } from './scene.ts';

const mebibyte = 1024 * 1024;
const image = buildImage({ seed: 'plain-sight', layerSizes: [4 * mebibyte, 50_000] });
const [layer, small] = image.layers as [Content, Content];
const heldAt = 2 * mebibyte;

test('a pull in progress shows its state, its progress, who waits, and its cost; then that it is done', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    const hold = registry.hold(layer.digest, heldAt);
    await client.manifest('org/app', 'v1');
    const clients = Array.from({ length: 3 }, () => new PullClient(onepull.url));
    const gates = clients.map(() => new Gate());
    const blobs = clients.map((one, n) =>
      one.blob('org/app', layer.digest, { pauseAt: { afterBytes: heldAt, gate: gates[n] as Gate } }),
    );
    await Promise.all(gates.map((gate) => gate.reached));

    const [flight] = await onepull.admin.flights();
    assert.equal(flight?.digest, layer.digest);
    assert.equal(flight.state, 'pulling');
    assert.deepEqual(
      [flight.sizeBytes, flight.filledBytes, flight.receivedBytes],
      [layer.bytes.length, heldAt, heldAt],
    );
    assert.deepEqual([flight.waiters, flight.attempts, flight.sources], [3, 1, ['demo.example/org/app']]);
    assert.deepEqual(flight.ranges, [{ source: 'demo.example/org/app', start: 0, nextOffset: heldAt }]);

    const [shown] = await onepull.admin.pulls();
    assert.deepEqual([shown?.image, shown?.manifest], ['demo.example/org/app:v1', image.manifest.digest]);
    assert.deepEqual([shown?.state, shown?.waiters, shown?.clients], ['pulling', 3, ['127.0.0.1']]);
    assert.equal(shown?.sizeBytes, image.totalBytes - image.manifest.bytes.length);
    assert.deepEqual([shown?.filledBytes, shown?.upstreamBytes, shown?.upstreamRequests], [heldAt, heldAt, 1]);
    const states = new Map(shown?.layers.map(({ digest, state }) => [digest, state]));
    assert.deepEqual([states.get(layer.digest), states.get(small.digest)], ['pulling', 'missing']);
    assert.equal(await onepull.admin.metric('onepull_flight_waiters'), 3);
    assert.equal(await onepull.admin.metric('onepull_flights', { state: 'pulling' }), 1);

    for (const gate of gates) gate.release();
    hold.release();
    await Promise.all(blobs);
    await pull(onepull.url, 'org/app', 'v1');
    for (const one of clients) await one[Symbol.asyncDispose]();
    await onepull.assertIdle();
    // What a gateway answers by itself is told about once a second.
    const [done] = await onepull.admin.until(
      (admin) => admin.pulls(),
      ([pulled]) => pulled?.pulls === 2,
    );
    assert.deepEqual([done?.state, done?.waiters], ['done', 0]);
    assert.equal(done?.upstreamBytes, done?.sizeBytes);
    const ended = await onepull.admin.flights();
    assert.ok(ended.every(({ state, waiters }) => state === 'done' && waiters === 0));
  }));

test('a pull that failed says why', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await client.manifest('org/app', 'v1');
    registry.content.removeBlob('org/app', layer.digest);
    assert.equal((await client.blob('org/app', layer.digest)).status, 404);
    await onepull.assertIdle();
    const [flight] = await onepull.admin.flights();
    assert.deepEqual([flight?.digest, flight?.state], [layer.digest, 'failed']);
    assert.ok(flight?.error);
    const [shown] = await onepull.admin.pulls();
    assert.equal(shown?.state, 'failed');
    assert.equal(shown?.layers.find(({ digest }) => digest === layer.digest)?.error, flight.error);
  }));

test("the metrics agree with upstream's own tally and with what clients received", () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    const clients = 12;
    const pulls = await Promise.all(Array.from({ length: clients }, () => pull(onepull.url, 'org/app', 'v1')));
    await client.blob('org/app', layer.digest, { range: { start: 10, end: 30 } });
    await client.manifest('org/app', 'none');
    await onepull.assertIdle();
    const { admin } = onepull;
    const { tally } = registry;
    assert.equal(await admin.metric('onepull_upstream_bytes_total', { upstream: 'demo.example' }), tally.bytesSent());
    for (const kind of ['manifest', 'blob'] as const) {
      for (const method of ['GET', 'HEAD']) {
        for (const status of [200, 206, 404]) {
          const labels = { upstream: 'demo.example', kind, method, status: String(status) };
          const counted = await admin.metric('onepull_upstream_requests_total', labels);
          assert.equal(counted, tally.count({ kind, method, status }), JSON.stringify(labels));
        }
      }
    }
    const receivedBytes = pulls.reduce((sum, { totalBytes }) => sum + totalBytes, 20);
    await admin.until(
      () => admin.metric('onepull_served_bytes_total'),
      (servedBytes) => servedBytes === receivedBytes,
    );
    // A HEAD and a GET of the manifest and three blobs each, a range, and what does not exist.
    assert.equal(await admin.metric('onepull_requests_total', { status: '200' }), clients * 5);
    assert.equal(await admin.metric('onepull_requests_total', { status: '206' }), 1);
    assert.equal(await admin.metric('onepull_requests_total', { status: '404' }), 1);
    assert.equal(await admin.metric('onepull_request_errors_total', { code: 'MANIFEST_UNKNOWN' }), 1);
    assert.equal(await admin.metric('onepull_flight_ends_total', { result: 'done' }), 3);
    assert.ok((await admin.metric('onepull_coalesced_requests_total')) > 0);
    assert.equal(await admin.metric('onepull_cache_size_bytes'), image.totalBytes);
    assert.equal(await admin.metric('onepull_requests_incomplete_total'), 0);
  }));

test('metrics never name a repository, a tag or a digest', () =>
  inScene({}, async ({ registry, onepull, client }) => {
    registry.content.add('distinctive/name', image, 'distinctive-tag');
    await pull(onepull.url, 'distinctive/name', 'distinctive-tag');
    await client.get('distinctive/name/tags/list');
    const text = await onepull.admin.text('/metrics');
    assert.match(text, /onepull_requests_total/);
    assert.doesNotMatch(text, /distinctive|sha256/);
  }));

test('health, readiness and version', () =>
  inScene({}, async ({ onepull: { admin } }) => {
    for (const [path, status] of [
      ['/healthz', 'alive'],
      ['/readyz', 'ready'],
    ] as const) {
      assert.deepEqual(await admin.json(path), { status });
    }
    assert.match(((await admin.json('/api/v1/version')) as { version: string }).version, /^\d+\.\d+\.\d+/);
    assert.equal((await admin.get('/api/v1/none')).status, 404);
  }));
