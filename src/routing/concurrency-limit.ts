/** How many bodies at once are good for one endpoint, as far as its answers have taught us. */
export interface ConcurrencyLimit {
  readonly limit: number;
  /** Successes that count towards the next step up. */
  readonly credit: number;
  /** Up to here each success is a step: so much went well before. Beyond it a step takes a round of successes. */
  readonly familiar: number;
  /** How often it was lowered. What was begun under an earlier number says nothing against the limit of now. */
  readonly lowered: number;
  /** It was lowered and nothing has succeeded since. */
  readonly isFalling: boolean;
}

export interface ConcurrencyBounds {
  /** Never more than this. */
  readonly ceiling: number;
  readonly start: number;
}

export type ConcurrencyEvent =
  /** `isUsed`: as many were under way as the limit allows. Growing teaches nothing where nobody uses it. */
  | { readonly kind: 'success'; readonly isUsed: boolean }
  /** Refused for load, unreachable, or too slow to answer. `lowered`: that of the limit when it was begun. */
  | { readonly kind: 'overload'; readonly lowered: number };

export function firstLimit({ ceiling, start }: ConcurrencyBounds): ConcurrencyLimit {
  const limit = Math.max(1, Math.min(ceiling, start));
  // Until something is refused, nothing says that more would be too much.
  return { limit, credit: 0, familiar: ceiling, lowered: 0, isFalling: false };
}

/**
 * Additive increase, multiplicative decrease. A limit is lowered at most once by all that was begun under it, which is
 * once a round trip; a run of failures without a success between them (an endpoint that was away) remembers half of what
 * was well before it, and is back there soon.
 */
export function nextLimit(state: ConcurrencyLimit, event: ConcurrencyEvent, ceiling: number): ConcurrencyLimit {
  if (event.kind === 'overload') {
    if (event.lowered !== state.lowered) return state;
    const half = Math.max(1, Math.floor(state.limit / 2));
    const familiar = state.isFalling ? state.familiar : half;
    return { limit: half, credit: 0, familiar, lowered: state.lowered + 1, isFalling: true };
  }
  if (!event.isUsed || state.limit >= ceiling) return { ...state, isFalling: false };
  const credit = state.credit + 1;
  const isStep = state.limit < state.familiar || credit >= state.limit;
  return { ...state, limit: isStep ? state.limit + 1 : state.limit, credit: isStep ? 0 : credit, isFalling: false };
}
