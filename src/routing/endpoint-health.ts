/** What real traffic says of an endpoint. Older observations count less: half after each half-life. */
export interface EndpointHealth {
  /** When the weights and counts below were right; on the monotonic clock, in ms. */
  readonly atMs: number;
  /** To the headers of an answer; undefined before the first. */
  readonly latencyMs: number | undefined;
  /** The mean distance from it. */
  readonly deviationMs: number;
  /** How many observations the latency stands on. */
  readonly latencyWeight: number;
  /** Of bodies, each by itself. */
  readonly bytesPerSecond: number | undefined;
  readonly throughputWeight: number;
  /** Requests that succeeded or failed, and those that failed. */
  readonly attempts: number;
  readonly failures: number;
  readonly lastError: ObservedError | undefined;
}

export interface ObservedError {
  readonly code: string;
  readonly message: string;
  readonly atMs: number;
}

export type HealthObservation =
  /** A request succeeded, or was answered in a way that is no fault of the endpoint's. */
  | { readonly kind: 'answered'; readonly latencyMs: number }
  /** Headers came, and a body follows that decides what becomes of the request. */
  | { readonly kind: 'headers'; readonly latencyMs: number }
  /** A part of a body came; `activeMs`: without the time that its reader kept it waiting. */
  | { readonly kind: 'progress'; readonly bytes: number; readonly activeMs: number }
  /** A body came to its end. */
  | { readonly kind: 'delivered' }
  /** After so long there was no answer, when nobody needed it any more: its latency is at least this. */
  | { readonly kind: 'overtaken'; readonly waitedMs: number }
  | { readonly kind: 'failed'; readonly weight: number; readonly code: string; readonly message: string }
  /** It is back after an outage: its failures are the past. */
  | { readonly kind: 'recovered' };

const halfLifeMs = 30_000;
/** However dense the traffic is: what comes now must be able to change the picture. */
const maxWeight = 8;
const maxAttempts = 50;
/** Less tells of the connection's start, not of its rate. */
const leastThroughputBytes = 128 * 1024;

export function unknownHealth(nowMs: number): EndpointHealth {
  return {
    atMs: nowMs,
    latencyMs: undefined,
    deviationMs: 0,
    latencyWeight: 0,
    bytesPerSecond: undefined,
    throughputWeight: 0,
    attempts: 0,
    failures: 0,
    lastError: undefined,
  };
}

export function observeHealth(health: EndpointHealth, observation: HealthObservation, nowMs: number): EndpointHealth {
  const aged = agedHealth(health, nowMs);
  switch (observation.kind) {
    case 'answered':
      return withAttempt(withLatency(aged, observation.latencyMs), 1, 0);
    case 'headers':
      return withLatency(aged, observation.latencyMs);
    case 'progress':
      return withThroughput(aged, observation.bytes, observation.activeMs);
    case 'delivered':
      return withAttempt(aged, 1, 0);
    case 'overtaken':
      return observation.waitedMs > (aged.latencyMs ?? 0) ? withLatency(aged, observation.waitedMs) : aged;
    case 'failed': {
      const { weight, code, message } = observation;
      return { ...withAttempt(aged, weight, weight), lastError: { code, message, atMs: nowMs } };
    }
    case 'recovered':
      return { ...aged, attempts: 0, failures: 0 };
  }
}

/** The same, with its weights and counts as they are now. */
export function agedHealth(health: EndpointHealth, nowMs: number): EndpointHealth {
  const factor = 0.5 ** (Math.max(0, nowMs - health.atMs) / halfLifeMs);
  if (factor === 1) return health;
  return {
    ...health,
    atMs: nowMs,
    latencyWeight: health.latencyWeight * factor,
    throughputWeight: health.throughputWeight * factor,
    attempts: health.attempts * factor,
    failures: health.failures * factor,
  };
}

/** Failures over attempts, 0 to 1. How much it is worth says `attempts`. */
export function errorRatio({ attempts, failures }: EndpointHealth): number {
  return attempts === 0 ? 0 : failures / attempts;
}

function withLatency(health: EndpointHealth, sampleMs: number): EndpointHealth {
  const { latencyMs, deviationMs, latencyWeight } = health;
  if (latencyMs === undefined) {
    return { ...health, latencyMs: sampleMs, deviationMs: sampleMs / 2, latencyWeight: 1 };
  }
  const share = 1 / (Math.min(latencyWeight, maxWeight - 1) + 1);
  return {
    ...health,
    latencyMs: latencyMs + share * (sampleMs - latencyMs),
    deviationMs: deviationMs + share * (Math.abs(sampleMs - latencyMs) - deviationMs),
    latencyWeight: Math.min(latencyWeight + 1, maxWeight),
  };
}

function withThroughput(health: EndpointHealth, bytes: number, activeMs: number): EndpointHealth {
  if (bytes < leastThroughputBytes && activeMs < 1000) return health;
  const rate = (1000 * bytes) / Math.max(activeMs, 0.1);
  const share = 1 / (Math.min(health.throughputWeight, maxWeight - 1) + 1);
  const before = health.bytesPerSecond ?? rate;
  return {
    ...health,
    bytesPerSecond: before + share * (rate - before),
    throughputWeight: Math.min(health.throughputWeight + 1, maxWeight),
  };
}

function withAttempt(health: EndpointHealth, weight: number, failed: number): EndpointHealth {
  const attempts = health.attempts + weight;
  const failures = health.failures + failed;
  const scale = Math.min(1, maxAttempts / attempts);
  return { ...health, attempts: attempts * scale, failures: failures * scale };
}
