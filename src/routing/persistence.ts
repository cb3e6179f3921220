export interface PersistenceFacts {
  /** So long can somebody who waits for an answer be made to wait altogether, in ms. */
  readonly boundMs: number;
  /** How much of it those who wait now have left; more where nobody waits for a first byte. */
  readonly leftMs: number;
  /** How long it has been tried in vain. */
  readonly triedMs: number;
  /** Nobody is there to answer: connections are refused, names unknown. */
  readonly isAway: boolean;
}

/** What is left when it is given up is for telling why, and for an attempt that takes its time. */
const patienceShare = 3 / 4;
/** Where nobody answers at all; a restart of a registry's process, or a name that moves, fits in. */
const awayMs = 4500;

/**
 * How much longer it is too early to give up on failures that may pass, in ms. Most pass within seconds, and whoever waits
 * is better off with a late answer than with an early error; but where nobody is there at all, which mostly lasts, they are
 * told after a few seconds. Pauses grow to seconds meanwhile, so this costs few requests.
 */
export function persistMs({ boundMs, leftMs, triedMs, isAway }: PersistenceFacts): number {
  const patienceMs = Math.min(leftMs - (1 - patienceShare) * boundMs, patienceShare * boundMs - triedMs);
  return Math.max(0, isAway ? Math.min(patienceMs, awayMs - triedMs) : patienceMs);
}
