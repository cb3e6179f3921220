import { agedHealth, type EndpointHealth, errorRatio } from './endpoint-health.ts';

/** What is known of one endpoint when a choice is made. They come in the order in which they are configured. */
export interface EndpointFacts {
  readonly health: EndpointHealth;
  /** Its breaker is not closed. */
  readonly isShut: boolean;
  /** How long it asked to be left alone, in ms. */
  readonly restMs: number;
  /** What the last judgement said. */
  readonly wasDegraded: boolean;
}

export interface EndpointOrder {
  /** Indexes, the best first. */
  readonly order: readonly number[];
  /** 0 for a sound one, more the worse it is; by index, as the next. */
  readonly costs: readonly number[];
  readonly isDegraded: readonly boolean[];
}

/** What it takes to be judged degraded, and what to be no longer: far enough apart that nobody goes to and fro. */
const limits = {
  enter: { errorRatio: 0.3, attempts: 5, weight: 1.5, factor: 4, latencyMs: 1000, bytesPerSecond: 1024 * 1024 },
  stay: { errorRatio: 0.1, attempts: 1, weight: 0.5, factor: 2, latencyMs: 500, bytesPerSecond: 2 * 1024 * 1024 },
} as const;

/**
 * The configured order, but for those that are not well: first the sound ones, then the clearly degraded, then those that
 * rest, last those that are shut. One that nobody asks any more is judged sound again once what was known of it has aged.
 */
export function orderEndpoints(endpoints: readonly EndpointFacts[], nowMs: number): EndpointOrder {
  const aged = endpoints.map((facts) => ({ ...facts, health: agedHealth(facts.health, nowMs) }));
  const isDegraded = aged.map((facts) => {
    const others = aged.filter((other) => other !== facts && !other.isShut);
    return judge(facts, others);
  });
  const costs = aged.map(({ isShut, restMs }, index) => (isShut ? 3 : restMs > 0 ? 2 : isDegraded[index] ? 1 : 0));
  const order = costs.map((_, index) => index).sort((a, b) => (costs[a] ?? 0) - (costs[b] ?? 0) || a - b);
  return { order, costs, isDegraded };
}

function judge({ health, wasDegraded }: EndpointFacts, others: readonly EndpointFacts[]): boolean {
  const limit = wasDegraded ? limits.stay : limits.enter;
  if (health.attempts >= limit.attempts && errorRatio(health) >= limit.errorRatio) return true;
  // Slow is who is slower than another.
  const latencies = others.map((other) => other.health.latencyMs).filter((ms) => ms !== undefined);
  const { latencyMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = health;
  const isSlow = latencyMs > limit.latencyMs && latencyMs > limit.factor * Math.min(...latencies);
  if (health.latencyWeight >= limit.weight && latencies.length > 0 && isSlow) return true;
  const rates = others.map((other) => other.health.bytesPerSecond).filter((rate) => rate !== undefined);
  const isThin = bytesPerSecond < limit.bytesPerSecond && limit.factor * bytesPerSecond < Math.max(0, ...rates);
  return health.throughputWeight >= limit.weight && isThin;
}
