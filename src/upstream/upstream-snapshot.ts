import type { Clock } from '../core/clock.ts';
import { errorRatio } from '../routing/endpoint-health.ts';
import type { EndpointClient } from './endpoint-client.ts';

/** What is known of an upstream, for operators. Plain data; times are ms since the epoch. Never holds a credential. */
export interface UpstreamSnapshot {
  readonly name: string;
  /** In the configured order. */
  readonly endpoints: readonly EndpointSnapshot[];
}

export interface EndpointSnapshot {
  /** Its host. */
  readonly name: string;
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
  readonly pauses: readonly { readonly what: string; readonly leftMs: number }[];
  readonly bodies: { readonly limit: number; readonly inFlight: number; readonly queued: number };
  readonly rateLimit?: { readonly limit?: number; readonly remaining?: number; readonly toldAtMs: number };
}

export function snapshotOf({ endpoint, watch, gate, toldLimit }: EndpointClient, clock: Clock): EndpointSnapshot {
  const { breaker, health } = watch.snapshot();
  const { limit, inFlight, queued, pauses } = gate.snapshot();
  const aheadMs = clock.now() - clock.monotonic();
  const { latencyMs, bytesPerSecond, lastError } = health;
  return {
    name: endpoint.name,
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
      errorRatio: Math.round(errorRatio(health) * 1000) / 1000,
      ...(lastError === undefined ? {} : { lastError: { ...lastError, atMs: Math.round(lastError.atMs + aheadMs) } }),
    },
    pauses: pauses.map(({ what, leftMs }) => ({ what, leftMs: Math.round(leftMs) })),
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
