import { agedHealth, type EndpointHealth } from './endpoint-health.ts';

export interface HedgeOptions {
  readonly leastDelayMs: number;
  readonly mostDelayMs: number;
  /** Where nothing is known of the endpoint. */
  readonly unknownDelayMs: number;
  /** The share of requests that may be sent twice. */
  readonly share: number;
  /** So many may be sent twice at once. */
  readonly burst: number;
}

export const hedgeDefaults: HedgeOptions = {
  leastDelayMs: 50,
  mostDelayMs: 3000,
  unknownDelayMs: 1000,
  share: 0.05,
  burst: 5,
};

/**
 * How long an endpoint may be silent before a second one is asked as well: about what 95 of 100 of its answers keep to, by
 * the mean and the deviation of its latency, and not less than two and a half times the mean.
 */
export function hedgeDelayMs(health: EndpointHealth, nowMs: number, options: HedgeOptions = hedgeDefaults): number {
  const { latencyMs, deviationMs, latencyWeight } = agedHealth(health, nowMs);
  if (latencyMs === undefined || latencyWeight < 0.1) return options.unknownDelayMs;
  const delayMs = Math.max(2.5 * latencyMs, latencyMs + 3 * deviationMs);
  return Math.min(options.mostDelayMs, Math.max(options.leastDelayMs, delayMs));
}

/** What is left to spend on second requests: each request earns a part of one. */
export type HedgeBudget = number;

export function fullBudget(options: HedgeOptions = hedgeDefaults): HedgeBudget {
  return options.burst;
}

export function earnHedge(budget: HedgeBudget, options: HedgeOptions = hedgeDefaults): HedgeBudget {
  return Math.min(options.burst, budget + options.share);
}

/** What is left after one more; undefined where there is not enough. */
export function spendHedge(budget: HedgeBudget): HedgeBudget | undefined {
  // A sum of twentieths falls short of one by a rounding error.
  return budget > 1 - 1e-9 ? Math.max(0, budget - 1) : undefined;
}
