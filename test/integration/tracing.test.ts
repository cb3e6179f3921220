import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { systemClock } from '../../src/core/clock.ts';
import { newSpanId, newTraceId, parseTraceparent } from '../../src/core/tracing.ts';
import { Channels, type NoticeEvent } from '../../src/telemetry/channels.ts';
import { OtlpSpans } from '../../src/telemetry/otlp-spans.ts';
import { PullClient } from '../support/client.ts';
import * as faults from '../support/faults.ts';
import type { LogLine } from '../support/onepull-process.ts';
import { SignedCdn } from '../support/signed-cdn.ts';
import { attributeOf, type CollectedSpan, TraceCollector } from '../support/trace-collector.ts';
import { inScene, type Scene } from './scene.ts';

const image = buildImage({ seed: 'tracing', layerSizes: [2_000_000] });
const [layer] = image.layers as [Content];
/** No request is traced that nobody asks to trace: one of so many would hardly be among these. */
const sampleOneIn = 1_000_000;

/** What was traced can be seen once onepull has stopped: it sends what waits. */
async function collected(configuration: object, body: (scene: Scene) => Promise<void>): Promise<TraceCollector> {
  await using collector = await TraceCollector.start();
  await inScene({ configuration: { tracing: { endpoint: collector.url, sampleOneIn, ...configuration } } }, body);
  return collector;
}

test('a traced pull is told from the request to the source, and upstream hears of the trace', async () => {
  const [traceId, spanId] = [newTraceId(), newSpanId()];
  const headers = { traceparent: `00-${traceId}-${spanId}-01` };
  let lines: readonly LogLine[] = [];
  const collector = await collected({}, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    await using client = new PullClient(onepull.url, { headers });
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    assert.equal((await client.blob('org/app', layer.digest)).outcome, 'complete');
    const [asked] = registry.tally.requests({ kind: 'blob' });
    assert.equal(parseTraceparent(String(asked?.headers.traceparent))?.traceId, traceId);
    lines = onepull.log;
  });
  const line = lines.find((each) => each.event === 'request' && each.reference === layer.digest);
  assert.equal(line?.trace, traceId);
  assert.ok(collector.spans.every((span) => span.traceId === traceId));
  const [request] = collector.named('GET blob').filter(({ kind }) => kind === 2);
  const [blob] = collector.named('blob');
  const [flight] = collector.named('flight');
  const [source] = collector.named('GET blob').filter(({ kind }) => kind === 3);
  assert.ok(request && blob && flight && source);
  assert.equal(request.parentSpanId, spanId);
  assert.deepEqual(
    [blob, flight, source].map(({ parentSpanId }) => parentSpanId),
    [request.spanId, blob.spanId, flight.spanId],
  );
  assert.equal(attributeOf(blob, 'onepull.served'), 'led');
  assert.equal(attributeOf(flight, 'onepull.flight.end'), 'done');
  assert.equal(Number(attributeOf(source, 'http.response.body.size')), layer.bytes.length);
  for (const span of collector.spans) assert.ok(BigInt(span.startTimeUnixNano) <= BigInt(span.endTimeUnixNano));
  assert.equal(collector.named('GET manifest').length, 2, 'ours and the one to upstream');
});

test('two caches that know nothing of each other can be told apart, and on which machine each runs', async () => {
  const told = new Set<unknown>();
  for (let instance = 0; instance < 2; instance++) {
    const { resources } = await collected({ sampleOneIn: 1 }, async ({ registry, client }) => {
      registry.content.add('org/app', image, 'v1');
      assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    });
    const ids = new Set(resources.map((resource) => resource['service.instance.id']));
    assert.equal(ids.size, 1, 'one for all that a process tells');
    for (const id of ids) told.add(id);
    const [{ 'host.name': host, 'service.name': name } = {}] = resources;
    assert.deepEqual([host, name], [hostname(), 'onepull']);
  }
  assert.equal(told.size, 2);
  for (const id of told) assert.match(String(id), /^[\da-f-]{36}$/);
});

test('a flight is linked with the requests that share it', async () => {
  const traces = Array.from({ length: 3 }, newTraceId);
  const collector = await collected({}, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    await client.manifest('org/app', 'v1');
    const hold = registry.hold(layer.digest, 1_000_000);
    const clients = traces.map(
      (traceId) => new PullClient(onepull.url, { headers: { traceparent: `00-${traceId}-${newSpanId()}-01` } }),
    );
    const blobs: Promise<unknown>[] = [];
    for (const [index, each] of clients.entries()) {
      blobs.push(each.blob('org/app', layer.digest));
      if (index === 0) await hold.reached;
    }
    await onepull.admin.until(
      () => onepull.admin.flights(),
      ([flight]) => flight?.waiters === clients.length,
    );
    hold.release();
    await Promise.all(blobs);
    for (const each of clients) await each[Symbol.asyncDispose]();
  });
  const [flight, ...others] = collector.named('flight');
  assert.ok(flight);
  assert.deepEqual(others, []);
  const [leader, ...joined] = traces;
  assert.equal(flight.traceId, leader);
  assert.deepEqual(new Set(flight.links?.map(({ traceId }) => traceId)), new Set(joined));
  const served = collector
    .named('blob')
    .map((span): [string, unknown] => [span.traceId, attributeOf(span, 'onepull.served')]);
  assert.deepEqual(new Map(served), new Map(traces.map((traceId, index) => [traceId, index === 0 ? 'led' : 'joined'])));
});

test('lists are told to their source as well', async () => {
  const collector = await collected({ sampleOneIn: 1 }, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', image, 'v1');
    for (const path of ['tags/list', `referrers/${image.manifest.digest}`]) {
      assert.equal(
        (await fetch(`${onepull.url}/v2/org/app/${path}`, { headers: { connection: 'close' } })).status,
        200,
      );
    }
    assert.ok(registry.tally.requests().every(({ headers }) => headers.traceparent !== undefined));
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
  });
  for (const list of ['tags', 'referrers']) {
    const [request] = collector.named(`GET ${list}`).filter(({ kind }) => kind === 2);
    const [work] = collector.named(list);
    const [source] = collector.named(`GET ${list}`).filter(({ kind }) => kind === 3);
    assert.ok(request && work && source, list);
    assert.deepEqual([work.parentSpanId, source.parentSpanId], [request.spanId, work.spanId]);
    assert.equal(attributeOf(work, 'onepull.served'), 'led');
  }
});

test('every span ends, whatever becomes of a request, and none holds what is secret', async () => {
  const [username, password] = ['robot', 'a-password-of-tests'];
  await using cdn = await SignedCdn.start();
  await using collector = await TraceCollector.start();
  const upstream = { credentials: { username, password } };
  const tracing = { endpoint: collector.url, sampleOneIn: 1 };
  const other = buildImage({ seed: 'tracing, another', layerSizes: [1_500_000] });
  const [left] = other.layers as [Content];
  await inScene(
    { registry: { auth: { kind: 'basic', username, password } }, upstream, configuration: { tracing } },
    async ({ registry, onepull, client }) => {
      registry.content.add('org/app', image, 'v1');
      registry.content.add('org/other', other, 'v1');
      registry.always({ kind: 'blob', method: 'GET', reference: layer.digest }, cdn.redirects());
      await client.manifest('org/app', 'v1');
      assert.equal((await client.blob('org/app', layer.digest)).outcome, 'complete');
      // Cut once, then tried again; its client leaves meanwhile.
      registry.next({ kind: 'blob', method: 'GET', reference: left.digest }, faults.cut(700_000));
      await client.manifest('org/other', 'v1');
      assert.equal((await client.blob('org/other', left.digest, { leaveAfterBytes: 100_000 })).outcome, 'left');
      await onepull.assertIdle();
      await client.manifest('org/none', 'v1');
    },
  );
  const byId = new Map(collector.spans.map((span) => [span.spanId, span]));
  for (const { name, parentSpanId = '' } of collector.spans) {
    assert.ok(parentSpanId === '' || byId.has(parentSpanId), `what ${name} is below has ended`);
  }
  assert.equal(collector.named('flight').length, 2);
  const [cut] = collector.named('GET blob').filter(({ kind, status }) => kind === 3 && status.code === 2);
  assert.equal(cut && attributeOf(cut, 'error.type'), 'UPSTREAM_INTERRUPTED');
  const [gone] = collector.named('GET blob').filter(({ kind, status }) => kind === 2 && status.code === 2);
  assert.equal(gone?.status.message, 'the client left');
  const toldPaths = collector.spans.map((span) => attributeOf(span, 'url.path')).filter((path) => path !== undefined);
  assert.ok(toldPaths.length > 3 && toldPaths.every((path) => String(path).startsWith('/v2/')), String(toldPaths));
  const told = JSON.stringify(collector.spans);
  for (const secret of [password, Buffer.from(`${username}:${password}`).toString('base64'), '?', 'signature']) {
    assert.ok(secret !== '' && !told.includes(secret), secret);
  }
});

test('what fails says of what', async () => {
  const collector = await collected({ sampleOneIn: 1 }, async ({ client }) => {
    assert.equal((await client.manifest('org/none', 'v1')).status, 404);
  });
  const request = collector.named('GET manifest').find(({ kind }) => kind === 2) as CollectedSpan;
  assert.equal(request.parentSpanId ?? '', '', 'the trace begins here');
  assert.equal(attributeOf(request, 'error.type'), 'NAME_UNKNOWN');
  const [manifest] = collector.named('manifest');
  assert.equal(manifest?.status.code, 2);
});

test('what its client does not record is not recorded, and upstream hears nothing', async () => {
  const collector = await collected({ sampleOneIn: 1 }, async ({ registry, onepull }) => {
    registry.content.add('org/app', image, 'v1');
    const headers = { traceparent: `00-${newTraceId()}-${newSpanId()}-00` };
    await using client = new PullClient(onepull.url, { headers });
    assert.equal((await client.blob('org/app', layer.digest)).outcome, 'complete');
    assert.ok(registry.tally.requests().every((request) => request.headers.traceparent === undefined));
  });
  assert.deepEqual(collector.spans, []);
});

test('a collector that is away costs no pull, and is said', async () => {
  const collector = await TraceCollector.start();
  const { url } = collector;
  await collector[Symbol.asyncDispose]();
  let lines: readonly LogLine[] = [];
  await inScene(
    { configuration: { tracing: { endpoint: url, sampleOneIn: 1 } } },
    async ({ registry, onepull, client }) => {
      registry.content.add('org/app', image, 'v1');
      assert.equal((await client.blob('org/app', layer.digest)).outcome, 'complete');
      lines = onepull.log;
    },
  );
  const said = lines.filter(({ event }) => event === 'traces-lost');
  assert.equal(said.length, 1);
  assert.ok(String(said[0]?.msg ?? said[0]?.message).includes(url));
});

for (const [how, whenAsked] of [
  ['refuses', async () => 400],
  ['is slow', () => new Promise<number>(() => {})],
] as const) {
  test(`a collector that ${how} costs no pull, and what it does not take is said and counted`, async () => {
    await using collector = await TraceCollector.start(whenAsked);
    const channels = new Channels();
    const lost = Promise.withResolvers<NoticeEvent>();
    channels.notice.subscribe((notice) => lost.resolve(notice));
    await using spans = new OtlpSpans(
      { clock: systemClock, channels },
      { endpoint: collector.url, version: '1', instance: 'i', hostName: 'h' },
    );
    const context = { traceId: newTraceId(), spanId: newSpanId() };
    const span = {
      ...context,
      name: 'x',
      kind: 'internal',
      parentSpanId: undefined,
      attributes: {},
      links: [],
    } as const;
    // As many as wait at most, those on their way, and more.
    for (let count = 0; count < 4000; count++) spans.add({ ...span, startMs: 1, endMs: 2, error: undefined });
    const { level, message, fields } = await lost.promise;
    assert.deepEqual([level, fields?.event], ['warn', 'traces-lost']);
    assert.ok(message.includes(collector.url) && Number(fields?.spans) > 0, message);
  });
}

test('a blob that the disk does not keep is told below the request that brought it', async () => {
  const large = buildImage({ seed: 'tracing, large', layerSizes: [1_500_000] });
  const [blob] = large.layers as [Content];
  await using collector = await TraceCollector.start();
  const tracing = { endpoint: collector.url, sampleOneIn: 1 };
  await inScene({ configuration: { tracing, storage: { maxSize: '1MiB' } } }, async ({ registry, onepull, client }) => {
    registry.content.add('org/app', large, 'v1');
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    assert.equal((await client.blob('org/app', blob.digest)).outcome, 'complete');
    assert.equal(await onepull.admin.metric('onepull_passed_through_total'), 1);
  });
  const [work] = collector.named('blob');
  const sources = collector.named('GET blob').filter(({ kind }) => kind === 3);
  assert.deepEqual(
    sources.map(({ parentSpanId }) => parentSpanId),
    [work?.spanId],
  );
  assert.equal(collector.named('flight').length, 0);
});
