/**
 * When an endpoint is taken out of use, and when it is tried again.
 *
 *     closed ── failures in a row, or too large a share ──► open ── its period is over ──► half-open
 *       ▲                                                    ▲                                │
 *       │                                                    └──────── the probe failed ──────┤
 *       └──────────── the probe, or a request sent since it opened, succeeded ────────────────┘
 *
 * Whoever is wanted is looked after sooner, once in each first period: nobody is refused for long what is there again. Pure:
 * a failure while it is open changes nothing, so requests that were under way when it opened do not prolong it, and
 * an answer to a request from before it opened does not close it.
 *
 * A probe tells that somebody is there, not that what clients ask for works. One that is closed by a probe, and opens again before
 * any request has succeeded, was not back: its outage goes on from where it began.
 */
export type Breaker =
  | {
      readonly state: 'closed';
      /** Weights of the failures since the last success. */
      readonly score: number;
      /** How often it opened lately, and when it last closed: who falls ill again is left alone for longer. */
      readonly openings: number;
      readonly closedAtMs: number;
      /** Since when every request has failed, and when that was last seen; a probe that succeeded is no request. */
      readonly failing?: { readonly sinceMs: number; readonly seenMs: number } | undefined;
    }
  | {
      readonly state: 'open' | 'half-open';
      readonly openings: number;
      readonly openedAtMs: number;
      /** Since when every request has failed. */
      readonly outageSinceMs: number;
      /** When its period began: it opened, or a probe failed. */
      readonly sinceMs: number;
      /** When a probe is due; of a half-open one: when it was. */
      readonly probeAtMs: number;
      readonly reason: string;
    };

export type BreakerStep =
  /** A request that was sent at `sentAtMs` succeeded. */
  | { readonly kind: 'success'; readonly sentAtMs: number }
  | {
      readonly kind: 'failure';
      readonly weight: number;
      readonly reason: string;
      /** The endpoint's decayed errors, this failure included. */
      readonly errorRatio: number;
      readonly attempts: number;
      /** It counts, but is not the one to open it. */
      readonly isHarmless?: boolean;
    }
  /** Somebody can only be helped by this endpoint. */
  | { readonly kind: 'wanted' }
  /** The probe's time has come. */
  | { readonly kind: 'due' }
  | { readonly kind: 'probe-succeeded' }
  | { readonly kind: 'probe-failed'; readonly reason: string };

export interface BreakerOptions {
  /** Failures in a row that open it, as the sum of their weights. */
  readonly openAtScore: number;
  /** A larger share of failures opens it ... */
  readonly openAtRatio: number;
  /** ... with so many attempts to judge by. */
  readonly leastAttempts: number;
  readonly firstPeriodMs: number;
  readonly maxPeriodMs: number;
  /** Well for so long, its earlier openings are forgotten; so are failures where none came after them. */
  readonly forgetAfterMs: number;
}

export const breakerDefaults: BreakerOptions = {
  openAtScore: 4,
  openAtRatio: 0.5,
  leastAttempts: 10,
  firstPeriodMs: 1000,
  maxPeriodMs: 30_000,
  forgetAfterMs: 60_000,
};

/** What failures weigh: who cannot be reached at all is given up sooner than who now and then says 500. */
export const failureWeights = { connection: 2, timeout: 2, answer: 1, body: 1, content: 3 } as const;

export function closedBreaker(nowMs: number): Breaker {
  return { state: 'closed', score: 0, openings: 0, closedAtMs: nowMs };
}

export function stepBreaker(
  breaker: Breaker,
  step: BreakerStep,
  nowMs: number,
  random: () => number,
  options: BreakerOptions = breakerDefaults,
): Breaker {
  switch (step.kind) {
    case 'success':
      if (breaker.state === 'closed') {
        const isClean = breaker.score === 0 && breaker.failing === undefined;
        return isClean ? breaker : { ...breaker, score: 0, failing: undefined };
      }
      return step.sentAtMs > breaker.openedAtMs ? closed(breaker, nowMs) : breaker;
    case 'failure': {
      if (breaker.state !== 'closed') return breaker;
      const score = breaker.score + step.weight;
      const isMostlyFailing = step.attempts >= options.leastAttempts && step.errorRatio > options.openAtRatio;
      const isSame = breaker.failing !== undefined && nowMs - breaker.failing.seenMs < options.forgetAfterMs;
      const outageSinceMs = isSame ? (breaker.failing?.sinceMs ?? nowMs) : nowMs;
      if (step.isHarmless === true || (score < options.openAtScore && !isMostlyFailing)) {
        return { ...breaker, score, failing: { sinceMs: outageSinceMs, seenMs: nowMs } };
      }
      const isRelapse = nowMs - breaker.closedAtMs < options.forgetAfterMs;
      const openings = isRelapse ? breaker.openings + 1 : 1;
      return opened({ openings, reason: step.reason, openedAtMs: nowMs, outageSinceMs }, nowMs, random, options);
    }
    case 'wanted': {
      if (breaker.state !== 'open') return breaker;
      const probeAtMs = Math.max(nowMs, breaker.sinceMs + options.firstPeriodMs);
      return probeAtMs < breaker.probeAtMs ? { ...breaker, probeAtMs } : breaker;
    }
    case 'due':
      return breaker.state === 'open' && nowMs >= breaker.probeAtMs ? { ...breaker, state: 'half-open' } : breaker;
    case 'probe-succeeded':
      if (breaker.state === 'closed') return breaker;
      return { ...closed(breaker, nowMs), failing: { sinceMs: breaker.outageSinceMs, seenMs: nowMs } };
    case 'probe-failed': {
      if (breaker.state !== 'half-open') return breaker;
      const openings = breaker.openings + 1;
      return opened({ ...breaker, openings, reason: step.reason }, nowMs, random, options);
    }
  }
}

function closed({ openings }: Breaker, nowMs: number): Extract<Breaker, { state: 'closed' }> {
  return { state: 'closed', score: 0, openings, closedAtMs: nowMs };
}

function opened(
  outage: { openings: number; reason: string; openedAtMs: number; outageSinceMs: number },
  nowMs: number,
  random: () => number,
  { firstPeriodMs, maxPeriodMs }: BreakerOptions,
): Breaker {
  const { openings, reason, openedAtMs, outageSinceMs } = outage;
  // A quarter of it is chance, so that nodes that lost an endpoint together do not come back together.
  const periodMs = Math.min(maxPeriodMs, firstPeriodMs * 2 ** Math.min(openings - 1, 20)) * (0.75 + random() / 4);
  return { state: 'open', openings, openedAtMs, outageSinceMs, sinceMs: nowMs, probeAtMs: nowMs + periodMs, reason };
}
