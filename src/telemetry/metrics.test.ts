import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Channels, type FlightEvent } from './channels.ts';
import { Metrics, type MetricsDeps } from './metrics.ts';
import { RequestCounts } from './request-tally.ts';
import { flightEvent } from './testing/events.ts';

function setUp(
  flights: MetricsDeps['flights'] = () => [],
  upstreams: MetricsDeps['upstreams'] = () => [],
  certificateUntilMs: MetricsDeps['certificateUntilMs'] = () => undefined,
  cluster: MetricsDeps['cluster'] = () => undefined,
): { channels: Channels; requests: RequestCounts; metrics: Metrics } {
  const channels = new Channels();
  const requests = new RequestCounts(channels);
  const cache = () => ({ sizeBytes: 5, strayBytes: 1, maxBytes: 10 });
  const load = () => ({ responses: 7, queuedBytes: 9 });
  const threads = { refresh: async () => {}, busy: () => [{ thread: 'main', ratio: 0.25 }] };
  const deps = {
    channels,
    requests,
    threads,
    gateways: () => ({ running: 2, replaced: 1 }),
    cluster,
    droppedLines: () => 4,
    warnings: () => ['the disk is full', 'the engine does not answer'],
    memory: {
      shares: { blocks: 1, queued: 2, 'small-blobs': 3, manifests: 4, prepared: 5 },
      blocks: () => ({ usedBytes: 0, pinnedBytes: 0, hits: 0, misses: 0 }),
      smallBlobBytes: () => 0,
    },
    certificateUntilMs,
    flights,
    load,
    cache,
    upstreams,
    diskFreeBytes: async () => 3,
  };
  return { channels, requests, metrics: new Metrics(deps, { version: '1.2.3', processMetrics: false }) };
}

async function has(metrics: Metrics, ...lines: readonly string[]): Promise<void> {
  const text = await metrics.text();
  for (const line of lines) assert(text.split('\n').includes(line), `${line} is not in\n${text}`);
}

const labels = { route: 'blob', method: 'GET', status: 200, served: 'joined' } as const;
const answer = { firstByteMs: 20, durationMs: 2000, complete: true };

const flight: FlightEvent = { ...flightEvent, event: 'started', source: 'secret-source', durationMs: 500 };

test('counts what upstream costs', async () => {
  const { channels, metrics } = setUp();
  const asked = { upstream: 'docker.io', endpoint: 'https://x', kind: 'blob', method: 'GET', durationMs: 1 } as const;
  channels.upstreamRequest.publish({ ...asked, status: 200 });
  channels.upstreamRequest.publish({ ...asked, status: 'UPSTREAM_TIMEOUT' });
  channels.upstreamBytes.publish({ upstream: 'docker.io', bytes: 100 });
  channels.upstreamBytes.publish({ upstream: 'docker.io', bytes: 11 });
  channels.coalesced.publish({ kind: 'blob' });
  channels.rateLimit.publish({ upstream: 'docker.io', limit: 100, remaining: 76 });
  await has(
    metrics,
    'onepull_upstream_requests_total{upstream="docker.io",kind="blob",method="GET",status="200"} 1',
    'onepull_upstream_requests_total{upstream="docker.io",kind="blob",method="GET",status="UPSTREAM_TIMEOUT"} 1',
    'onepull_upstream_bytes_total{upstream="docker.io"} 111',
    'onepull_coalesced_requests_total{kind="blob"} 1',
    'onepull_upstream_ratelimit_limit{upstream="docker.io"} 100',
    'onepull_upstream_ratelimit_remaining{upstream="docker.io"} 76',
    'onepull_upstream_response_seconds_count{upstream="docker.io",kind="blob"} 2',
    'onepull_upstream_response_seconds_bucket{le="0.001",upstream="docker.io",kind="blob"} 2',
  );
  const told = /^onepull_upstream_ratelimit_told_timestamp_seconds\{upstream="docker.io"\} (.*)$/m;
  const [, toldAt = ''] = told.exec(await metrics.text()) ?? [];
  assert.ok(Number(toldAt) > 1e9 && Number(toldAt) * 1000 <= Date.now(), toldAt);
});

test('counts and times what clients get', async () => {
  const { channels, requests, metrics } = setUp();
  requests.cell(labels).add(answer);
  requests
    .cell({ ...labels, status: 404 })
    .add({ ...answer, errorCode: 'BLOB_UNKNOWN', complete: false, firstByteMs: undefined });
  channels.servedBytes.publish({ from: 'flight', bytes: 512 });
  await has(
    metrics,
    'onepull_requests_total{route="blob",method="GET",status="200",served="joined"} 1',
    'onepull_request_errors_total{code="BLOB_UNKNOWN"} 1',
    'onepull_requests_incomplete_total{route="blob"} 1',
    'onepull_served_bytes_total{from="flight"} 512',
    'onepull_first_byte_seconds_count{route="blob",served="joined"} 1',
    'onepull_first_byte_seconds_sum{route="blob",served="joined"} 0.02',
    'onepull_first_byte_seconds_bucket{le="0.01",route="blob",served="joined"} 0',
    'onepull_first_byte_seconds_bucket{le="0.025",route="blob",served="joined"} 1',
    'onepull_first_byte_seconds_bucket{le="+Inf",route="blob",served="joined"} 1',
    'onepull_request_seconds_count{route="blob"} 2',
    'onepull_request_seconds_sum{route="blob"} 4',
    '# TYPE onepull_request_seconds histogram',
  );
});

test('gauges read the flights, the load and the cache as they are when asked', async () => {
  let flights: ReturnType<MetricsDeps['flights']> = [
    { state: 'pulling', waiters: 3 },
    { state: 'pulling', waiters: 2 },
    { state: 'waiting', waiters: 1 },
  ];
  const { metrics } = setUp(() => flights);
  await has(
    metrics,
    'onepull_flights{state="pulling"} 2',
    'onepull_flights{state="waiting"} 1',
    'onepull_flights{state="verifying"} 0',
    'onepull_flight_waiters 6',
    'onepull_responses 7',
    'onepull_queued_bytes 9',
    'onepull_cache_size_bytes 5',
    'onepull_cache_stray_bytes 1',
    'onepull_disk_free_bytes 3',
    'onepull_thread_busy_ratio{thread="main"} 0.25',
    'onepull_log_dropped_lines_total 4',
    'onepull_warnings 2',
    'onepull_gateways 2',
    'onepull_gateways_replaced_total 1',
    'onepull_cache_max_bytes 10',
    'onepull_build_info{version="1.2.3"} 1',
  );
  flights = [];
  await has(metrics, 'onepull_flights{state="pulling"} 0', 'onepull_flight_waiters 0');
});

test('counts the ends of flights and evictions', async () => {
  const { channels, metrics } = setUp();
  for (const event of ['started', 'range-opened', 'done', 'done', 'passed', 'failed'] as const) {
    channels.flight.publish({ ...flight, event });
  }
  channels.eviction.publish({ blobs: 3, bytes: 100, sizeAfterBytes: 50 });
  await has(
    metrics,
    'onepull_flight_ends_total{result="done"} 2',
    'onepull_flight_ends_total{result="passed"} 1',
    'onepull_flight_ends_total{result="failed"} 1',
    'onepull_flight_ends_total{result="parked"} 0',
    'onepull_pull_seconds_count 2',
    'onepull_pull_seconds_sum 1',
    'onepull_evicted_blobs_total 3',
    'onepull_evicted_bytes_total 100',
  );
});

test("a client's text never becomes a label", async () => {
  const { channels, requests, metrics } = setUp();
  requests.cell({ ...labels, method: 'SECRET-METHOD', status: 99999 }).add(answer);
  channels.flight.publish({ ...flight, event: 'failed' });
  const text = await metrics.text();
  assert.doesNotMatch(text, /secret/i);
  assert.match(text, /method="other",status="other"/);
});

test('every metric of ours has the prefix and a help text', () => {
  const described = setUp().metrics.describe();
  assert(described.length >= 18);
  for (const { name, help, type } of described) {
    assert.match(name, /^onepull_[a-z_]+$/);
    assert.match(help, /\.$/);
    assert.match(type, /^(counter|gauge|histogram)$/);
  }
});

test('two instances do not share anything', async () => {
  const [one, other] = [setUp(), setUp()];
  one.channels.servedBytes.publish({ from: 'cache', bytes: 7 });
  await has(one.metrics, 'onepull_served_bytes_total{from="cache"} 7');
  await has(other.metrics, 'onepull_served_bytes_total{from="cache"} 0');
});

test('endpoints show what is known of them, and a rest only while it lasts', async () => {
  const pauses = [{ what: 'manifests', leftMs: 2500 }];
  const endpoints = [
    { name: 'a.example', breaker: { state: 'half-open' }, pauses, bodies: { limit: 8, inFlight: 3, queued: 2 } },
    { name: 'b.example', breaker: { state: 'closed' }, pauses: [], bodies: { limit: 48, inFlight: 0, queued: 0 } },
  ];
  const { metrics } = setUp(undefined, () => [{ name: 'hub', endpoints }]);
  await has(
    metrics,
    'onepull_breaker_open{upstream="hub",endpoint="a.example"} 1',
    'onepull_breaker_open{upstream="hub",endpoint="b.example"} 0',
    'onepull_upstream_bodies_limit{upstream="hub",endpoint="b.example"} 48',
    'onepull_upstream_bodies{upstream="hub",endpoint="a.example"} 3',
    'onepull_upstream_queued_requests{upstream="hub",endpoint="a.example"} 2',
    'onepull_upstream_paused_seconds{upstream="hub",endpoint="a.example",what="manifests"} 2.5',
  );
  pauses.length = 0;
  assert.doesNotMatch(await metrics.text(), /paused_seconds\{/);
});

test('the end of the certificate shows where there is one', async () => {
  const without = await setUp().metrics.text();
  assert.doesNotMatch(without, /^onepull_tls_certificate/m);
  await has(
    setUp(undefined, undefined, () => 1_800_000_000_500).metrics,
    'onepull_tls_certificate_expiry_timestamp_seconds 1800000000.5',
  );
});

test('what can be counted from the start begins at 0, so that the first of it is seen', async () => {
  const bodies = { limit: 8, inFlight: 0, queued: 0 };
  const endpoints = [{ name: 'a.example', breaker: { state: 'closed' }, pauses: [], bodies }];
  await has(
    setUp(undefined, () => [{ name: 'hub', endpoints }]).metrics,
    'onepull_upstream_bytes_total{upstream="hub"} 0',
    'onepull_breaker_opens_total{upstream="hub",endpoint="a.example"} 0',
    'onepull_upstream_pauses_total{upstream="hub",endpoint="a.example",what="everything"} 0',
    'onepull_served_bytes_total{from="cache"} 0',
    'onepull_served_bytes_total{from="flight"} 0',
    'onepull_refused_total{bound="responses"} 0',
    'onepull_refused_total{bound="pass-through"} 0',
    'onepull_passed_through_total{cause="disk-full"} 0',
    'onepull_coalesced_requests_total{kind="blob"} 0',
  );
});

test('an endpoint that fails is counted once, however many probes fail before it is back', async () => {
  const { channels, metrics } = setUp();
  const names = { upstream: 'hub', endpoint: 'a.example', isOnly: true, reason: 'refused' };
  for (let outage = 0; outage < 2; outage++) {
    for (let probe = 0; probe < 5; probe++) {
      channels.breaker.publish({ ...names, state: 'open' });
      channels.breaker.publish({ ...names, state: 'half-open' });
    }
    channels.breaker.publish({ ...names, state: 'closed' });
  }
  await has(metrics, 'onepull_breaker_opens_total{upstream="hub",endpoint="a.example"} 2');
});

test('a node that is alone has no engine that could be down', async () => {
  const alone = setUp().metrics;
  await alone.text();
  assert.doesNotMatch(await alone.text(), /^onepull_(cluster_(engine_up|nodes|leases|followed)|peer_children) /m);
  const cluster = () => ({ engine: { isUp: false }, members: [], children: 0, shares: [] });
  await has(
    setUp(undefined, undefined, undefined, cluster).metrics,
    'onepull_cluster_engine_up 0',
    'onepull_cluster_nodes 0',
  );
});
