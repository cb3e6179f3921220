export interface PersistenceFacts {
  /** So long can somebody who waits for an answer be made to wait altogether, in ms. */
  readonly boundMs: number;
  /** How much of it those who wait now have left; more where nobody waits for a first byte. */
  readonly leftMs: number;
  /** How long it has been tried in vain. */
  readonly triedMs: number;
  /** Nobody is there to answer: connections are refused, names unknown. */
  readonly isAway: boolean;
  /** For so long all that anybody asked of them has failed, in ms; 0: they are not known to be down. */
  readonly outageMs: number;
}

export interface Persistence {
  /** So much longer it is too early to give up on failures that may pass, in ms. */
  readonly persistMs: number;
  /** Others have waited in vain for as long as anybody waits: one attempt tells whether they are back. */
  readonly isDown: boolean;
}

/** What is left when it is given up is for telling why, and for an attempt that takes its time. */
const patienceShare = 3 / 4;
/** Where nobody answers at all; a restart of a registry's process, or a name that moves, fits in. */
const awayMs = 4500;

/** Whoever found out gave up when this was over: what is left of it is worth no second attempt. */
const downShare = 0.95;

/**
 * Most failures pass within seconds, and whoever waits is better off with a late answer than with an early error; but where
 * nobody is there at all, which mostly lasts, they are told after a few seconds. Pauses grow to seconds meanwhile, so this costs
 * few requests. An outage is waited out once, not by each request anew.
 */
export function persistence({ boundMs, leftMs, triedMs, isAway, outageMs }: PersistenceFacts): Persistence {
  const mostMs = isAway ? Math.min(awayMs, patienceShare * boundMs) : patienceShare * boundMs;
  const patienceMs = Math.min(leftMs - (1 - patienceShare) * boundMs, mostMs - Math.max(triedMs, outageMs));
  const isDown = outageMs >= downShare * mostMs;
  return { persistMs: isDown ? 0 : Math.max(0, patienceMs), isDown };
}
