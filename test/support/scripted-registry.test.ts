import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { digestOf } from '../../src/core/digest.ts';
import { PullClient } from './client.ts';
import * as faults from './faults.ts';
import { Gate } from './gate.ts';
import { Leaks } from './leaks.ts';
import { ScriptedRegistry } from './scripted-registry.ts';
import { SignedCdn } from './signed-cdn.ts';

const layerBytes = 300_000;
const image = buildImage({ seed: 'scripted', layerSizes: [layerBytes] });
const layer = image.layers[0] as Content;
const blobs = { kind: 'blob' } as const;

async function setUp(t: TestContext) {
  const leaks = await Leaks.watch();
  const registry = await ScriptedRegistry.start();
  registry.content.add('org/app', image, 'v1');
  const client = new PullClient(registry.url);
  t.after(async () => {
    await client[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    await leaks.assertNone();
  });
  return {
    registry,
    client,
    blob: (range?: { start: number }) => client.blob('org/app', layer.digest, range && { range }),
  };
}

test('a cut body ends after exactly so many bytes, and the next request is well again', async (t) => {
  const { registry, blob } = await setUp(t);
  registry.next(blobs, faults.cut(100_001));
  const cut = await blob();
  assert.deepEqual([cut.status, cut.outcome, cut.sizeBytes], [200, 'cut', 100_001]);
  assert.equal(cut.digest, digestOf(layer.bytes.subarray(0, 100_001)));
  const rest = await blob({ start: 100_001 });
  assert.deepEqual([rest.status, rest.outcome, rest.sizeBytes], [206, 'complete', layerBytes - 100_001]);
  assert.equal(registry.tally.repeatedBytes(layer.digest), 0);
  assert.deepEqual(
    registry.tally.bodies(layer.digest).map((body) => [body.start, body.sentBytes, body.state]),
    [
      [0, 100_001, 'cut'],
      [100_001, layerBytes - 100_001, 'complete'],
    ],
  );
});

test('a reset and a dropped connection reach the client as failures', async (t) => {
  const { registry, blob } = await setUp(t);
  registry.next(blobs, faults.cut(0, 'reset'), faults.drop());
  const reset = await blob().catch(() => 'failed before its headers');
  assert.ok(typeof reset === 'string' || reset.outcome === 'cut');
  await assert.rejects(blob(), /socket hang up|ECONNRESET/);
  assert.equal((await blob()).digest, layer.digest);
});

test('a stalled body goes on when the test lets it', async (t) => {
  const { registry, blob } = await setUp(t);
  const gate = new Gate();
  registry.next(blobs, faults.stall(50_000, gate));
  const download = blob();
  await gate.reached;
  assert.equal(registry.tally.bytesSent(layer.digest), 50_000);
  gate.release();
  assert.equal((await download).digest, layer.digest);
});

test('headers are held until the test lets them go', async (t) => {
  const { registry, blob } = await setUp(t);
  const gate = new Gate();
  registry.next(blobs, faults.slowHeaders(gate));
  const download = blob();
  await gate.reached;
  assert.equal(registry.tally.count({ kind: 'blob', status: 200 }), 0);
  gate.release();
  assert.equal((await download).digest, layer.digest);
});

test('a hold stops every body at a byte of the blob; a body that begins after it passes', async (t) => {
  const { registry, blob } = await setUp(t);
  const hold = registry.hold(layer.digest, 200_000);
  const whole = blob();
  const part = blob({ start: 150_000 });
  await hold.reached;
  await registry.tally.until((tally) => tally.bytesSent(layer.digest) === 250_000);
  assert.equal((await blob({ start: 200_001 })).sizeBytes, layerBytes - 200_001);
  assert.deepEqual(registry.tally.concurrency(layer.digest), { current: 2, max: 3 });
  hold.release();
  assert.equal((await whole).digest, layer.digest);
  assert.equal((await part).sizeBytes, 150_000);
});

test('wrong content comes under right headers', async (t) => {
  const { registry, client, blob } = await setUp(t);
  registry.next(blobs, faults.corrupt(7), faults.short(1000));
  const corrupted = await blob();
  assert.deepEqual([corrupted.outcome, corrupted.sizeBytes], ['complete', layerBytes]);
  assert.notEqual(corrupted.digest, layer.digest);
  const short = await blob();
  assert.deepEqual([short.outcome, short.sizeBytes, short.headers['content-length']], ['complete', 1000, '1000']);
  const other = buildImage({ seed: 'other', layerSizes: [] }).manifest;
  registry.next({ kind: 'manifest' }, faults.replaced(other.bytes));
  const manifest = await client.manifest('org/app', 'v1');
  assert.equal(manifest.headers['docker-content-digest'], image.manifest.digest);
  assert.equal(manifest.digest, other.digest);
});

test('lengths are wrong or missing', async (t) => {
  const { registry, blob } = await setUp(t);
  registry.next(blobs, faults.wrongLength(layerBytes + 10), faults.chunked());
  registry.next(blobs, faults.both(faults.chunked(), faults.cut(1000)), faults.wrongLength(1000));
  const long = await blob();
  assert.deepEqual([long.outcome, long.sizeBytes], ['cut', layerBytes]);
  const chunked = await blob();
  assert.deepEqual([chunked.outcome, chunked.digest], ['complete', layer.digest]);
  assert.equal(chunked.headers['content-length'], undefined);
  const chunkedCut = await blob();
  assert.deepEqual([chunkedCut.outcome, chunkedCut.sizeBytes], ['cut', 1000]);
  assert.deepEqual([(await blob()).sizeBytes], [1000]);
});

test('Range can be ignored, the digest header left out', async (t) => {
  const { registry, blob } = await setUp(t);
  registry.next(blobs, faults.both(faults.ignoreRange(), faults.noDigestHeader()));
  const whole = await blob({ start: 1000 });
  assert.deepEqual([whole.status, whole.digest], [200, layer.digest]);
  assert.equal(whole.headers['docker-content-digest'], undefined);
  assert.equal(registry.tally.bodies(layer.digest)[0]?.start, 0);
});

test('statuses, their headers and pages in HTML', async (t) => {
  const { registry, client, blob } = await setUp(t);
  const codes = [401, 403, 404, 500, 503];
  registry.next(blobs, faults.rateLimited(7), faults.html(429), ...codes.map((code) => faults.status(code)));
  const limited = await blob();
  assert.deepEqual([limited.status, limited.headers['retry-after']], [429, '7']);
  assert.equal(JSON.parse(limited.body.toString()).errors[0].code, 'TOOMANYREQUESTS');
  assert.match((await blob()).headers['content-type'] ?? '', /html/);
  for (const code of codes) assert.equal((await blob()).status, code);
  assert.equal((await blob()).status, 200);
  const undo = registry.withoutHead();
  assert.equal((await client.headManifest('org/app', 'v1')).status, 405);
  undo();
  assert.equal((await client.headManifest('org/app', 'v1')).status, 200);
  registry.withoutReferrers();
  assert.equal((await client.get(`org/app/referrers/${image.manifest.digest}`)).status, 404);
});

test('a script sees every request and chooses', async (t) => {
  const { registry, client, blob } = await setUp(t);
  registry.script = (request) => (request.kind === 'blob' ? faults.status(500) : undefined);
  assert.equal((await blob()).status, 500);
  assert.equal((await client.manifest('org/app', 'v1')).status, 200);
  registry.behave();
  assert.equal((await blob()).status, 200);
});

test('a registry that went away refuses connections and comes back at the same port', async (t) => {
  const { registry, blob } = await setUp(t);
  const hold = registry.hold(layer.digest, 10);
  const cut = blob();
  await hold.reached;
  await registry.goAway();
  assert.deepEqual([(await cut).outcome, (await cut).sizeBytes], ['cut', 10]);
  await assert.rejects(blob(), /ECONNREFUSED/);
  hold.release();
  await registry.comeBack();
  assert.equal((await blob()).digest, layer.digest);
});

test('a redirect leads to a CDN that refuses what is unsigned, expired or authorised', async (t) => {
  const { registry, client, blob } = await setUp(t);
  await using cdn = await SignedCdn.start();
  registry.always({ kind: 'blob', method: 'GET' }, cdn.redirects());
  assert.equal((await blob()).digest, layer.digest);
  assert.equal((await blob({ start: 1000 })).sizeBytes, layerBytes - 1000);
  assert.equal(cdn.tally.bytesSent(layer.digest), 2 * layerBytes - 1000);
  assert.equal(registry.tally.bytesSent(layer.digest), 0);
  cdn.cutNext(500);
  assert.deepEqual([(await blob()).outcome], ['cut']);
  registry.behave();

  await using direct = new PullClient(`http://${cdn.host}`);
  assert.equal((await direct.get(`content/${layer.digest}`)).status, 403);
  let location = '';
  registry.script = () => async (answer, request) => {
    const redirected = await cdn.redirects()(answer, request);
    if (redirected !== 'dropped') location = redirected.headers.location ?? '';
    cdn.expireAll();
    return redirected;
  };
  const expired = await client.blob('org/app', layer.digest);
  assert.match(location, /signature=/);
  assert.deepEqual([expired.status, cdn.tally.count({ status: 403 })], [403, 2]);
});
