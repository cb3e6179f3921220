import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Channels, PauseEvent, UpstreamRequestEvent } from './channels.ts';
import { firstByteBounds } from './request-tally.ts';
import type { UpstreamFigures } from './upstream-gauges.ts';

type Heard = Pick<Channels, 'upstreamRequest' | 'upstreamBytes' | 'rateLimit' | 'breaker' | 'pause'>;

const knownMethods: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const pausable: readonly PauseEvent['what'][] = ['manifests', 'blobs', 'everything'];

/**
 * What upstreams are asked and what they send, counted as it happens. What is counted by upstream alone begins at 0, not at the
 * first event: `rate` does not see the first value of a series.
 */
export function addUpstreamCounts(registry: Registry, channels: Heard, upstreams: readonly UpstreamFigures[]): void {
  const registers = [registry];
  const bytes = new Counter({
    name: 'onepull_upstream_bytes_total',
    help: 'Body bytes received from upstreams.',
    labelNames: ['upstream'],
    registers,
  });
  for (const { name: upstream } of upstreams) bytes.inc({ upstream }, 0);
  channels.upstreamBytes.subscribe((event) => bytes.inc({ upstream: event.upstream }, event.bytes));
  countRequests(registry, channels);
  countRests(registry, channels, upstreams);
  showLimits(registry, channels);
}

function countRequests(registry: Registry, { upstreamRequest }: Heard): void {
  const registers = [registry];
  const requests = new Counter({
    name: 'onepull_upstream_requests_total',
    help: 'Requests to upstreams and their token servers, by the status or the error that came back.',
    labelNames: ['upstream', 'kind', 'method', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'onepull_upstream_response_seconds',
    help: 'From a request to an upstream to the headers of its answer, or to what it failed of; the wait for a connection included.',
    labelNames: ['upstream', 'kind'],
    buckets: [...firstByteBounds],
    registers,
  });
  upstreamRequest.subscribe(({ upstream, kind, method, status, durationMs }) => {
    requests.inc({ upstream, kind, method: methodLabel(method), status: statusLabel(status) });
    durations.observe({ upstream, kind }, durationMs / 1000);
  });
}

/** Of endpoints that failed, and of those that asked to be left alone. */
function countRests(registry: Registry, { breaker, pause }: Heard, upstreams: readonly UpstreamFigures[]): void {
  const registers = [registry];
  const opens = new Counter({
    name: 'onepull_breaker_opens_total',
    help: 'Times that an endpoint began to fail, and was taken out of use where there is another.',
    labelNames: ['upstream', 'endpoint'],
    registers,
  });
  const pauses = new Counter({
    name: 'onepull_upstream_pauses_total',
    help: 'Times that an endpoint asked to be left alone.',
    labelNames: ['upstream', 'endpoint', 'what'],
    registers,
  });
  for (const { name: upstream, endpoints } of upstreams) {
    for (const { name: endpoint } of endpoints) {
      opens.inc({ upstream, endpoint }, 0);
      for (const what of pausable) pauses.inc({ upstream, endpoint, what }, 0);
    }
  }
  const failing = new Set<string>();
  breaker.subscribe(({ upstream, endpoint, state }) => {
    const key = `${upstream} ${endpoint}`;
    if (state === 'closed') failing.delete(key);
    // A probe that fails opens it again: that is the same failure.
    else if (!failing.has(key)) opens.inc({ upstream, endpoint });
    if (state !== 'closed') failing.add(key);
  });
  pause.subscribe(({ upstream, endpoint, what }) => pauses.inc({ upstream, endpoint, what }));
}

function showLimits(registry: Registry, { rateLimit }: Heard): void {
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `onepull_upstream_ratelimit_${name}`, help, labelNames: ['upstream'], registers: [registry] });
  const limit = gauge('limit', 'The rate limit that the upstream last told.');
  const remaining = gauge('remaining', 'What the upstream said is left of it.');
  const told = gauge('told_timestamp_seconds', 'When it last said so, in seconds since the epoch.');
  rateLimit.subscribe((event) => {
    const { upstream } = event;
    if (event.limit !== undefined) limit.set({ upstream }, event.limit);
    if (event.remaining !== undefined) remaining.set({ upstream }, event.remaining);
    told.setToCurrentTime({ upstream });
  });
}

function methodLabel(method: string): string {
  return knownMethods.includes(method) ? method : 'other';
}

function statusLabel(status: UpstreamRequestEvent['status']): string {
  if (typeof status === 'string') return status;
  return Number.isInteger(status) && status >= 100 && status < 600 ? String(status) : 'other';
}
