import type { Clock } from '../core/clock.ts';
import { errorRatio } from '../routing/endpoint-health.ts';
import type { PauseEvent } from '../telemetry/channels.ts';
import type { EndpointClient } from './endpoint-client.ts';
import type { GateSnapshot, GateWhat } from './endpoint-gate.ts';

/** What is known of an upstream, for operators. Plain data; times are ms since the epoch. Never holds a credential. */
export interface UpstreamSnapshot {
  readonly name: string;
  /** In the configured order. */
  readonly endpoints: readonly EndpointSnapshot[];
}

export interface EndpointSnapshot {
  /** Its host. */
  readonly name: string;
  /** Its place in the configured order; the first is 1. */
  readonly preference: number;
  /**
   * As a source of blobs: those that are not sound are asked after the others. `failing`: it is asked all the same, because there
   * is no sound one.
   */
  readonly standing: 'sound' | 'degraded' | 'resting' | 'failing' | 'shut';
  readonly breaker: {
    readonly state: 'closed' | 'open' | 'half-open';
    readonly reason?: string;
    readonly openedAtMs?: number;
    readonly probeAtMs?: number;
  };
  readonly health: {
    readonly latencyMs?: number;
    readonly bytesPerSecond?: number;
    /** 0 to 1, of the requests of about the last minute. */
    readonly errorRatio: number;
    readonly lastError?: { readonly code: string; readonly message: string; readonly atMs: number };
  };
  /** What it is not asked for, and for how long. */
  readonly pauses: readonly { readonly what: PauseEvent['what']; readonly leftMs: number }[];
  readonly bodies: { readonly limit: number; readonly inFlight: number; readonly queued: number };
  readonly rateLimit?: { readonly limit?: number; readonly remaining?: number; readonly toldAtMs: number };
}

/** What is left of a request or two after some minutes says nothing any more. */
const leastAttempts = 0.1;

export function snapshotOf(
  { endpoint, watch, gate, toldLimit }: EndpointClient,
  clock: Clock,
  place: Pick<EndpointSnapshot, 'preference' | 'standing'>,
): EndpointSnapshot {
  const { breaker, health } = watch.snapshot();
  const { limit, inFlight, queued, pauses } = gate.snapshot();
  const aheadMs = clock.now() - clock.monotonic();
  const { latencyMs, bytesPerSecond, lastError } = health;
  const failing = health.attempts >= leastAttempts ? errorRatio(health) : 0;
  const isBad = place.standing === 'sound' && failing > 0.5;
  return {
    name: endpoint.name,
    ...place,
    ...(isBad && { standing: 'degraded' }),
    breaker:
      breaker.state === 'closed'
        ? { state: 'closed' }
        : {
            state: breaker.state,
            reason: breaker.reason,
            openedAtMs: Math.round(breaker.openedAtMs + aheadMs),
            probeAtMs: Math.round(breaker.probeAtMs + aheadMs),
          },
    health: {
      ...(latencyMs === undefined ? {} : { latencyMs: Math.round(latencyMs * 10) / 10 }),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond: Math.round(bytesPerSecond) }),
      errorRatio: Math.round(failing * 1000) / 1000,
      ...(lastError === undefined ? {} : { lastError: { ...lastError, atMs: Math.round(lastError.atMs + aheadMs) } }),
    },
    pauses: pausesOf(pauses),
    bodies: { limit, inFlight, queued },
    ...(toldLimit === undefined
      ? {}
      : {
          rateLimit: {
            ...(toldLimit.limit === undefined ? {} : { limit: toldLimit.limit }),
            ...(toldLimit.remaining === undefined ? {} : { remaining: toldLimit.remaining }),
            toldAtMs: toldLimit.atMs,
          },
        }),
  };
}

const paused: Readonly<Record<GateWhat, PauseEvent['what']>> = {
  'manifest-get': 'manifests',
  'manifest-head': 'manifests',
  'blob-head': 'blobs',
  'blob-body': 'blobs',
  other: 'everything',
};

/** The longest for each of what is told apart. */
function pausesOf(pauses: GateSnapshot['pauses']): EndpointSnapshot['pauses'] {
  const leftMs = new Map<PauseEvent['what'], number>();
  for (const pause of pauses) {
    const what = paused[pause.what];
    leftMs.set(what, Math.max(leftMs.get(what) ?? 0, Math.round(pause.leftMs)));
  }
  return [...leftMs].map(([what, longestMs]) => ({ what, leftMs: longestMs }));
}
