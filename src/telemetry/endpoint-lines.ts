import type { Clock } from '../core/clock.ts';
import type { BreakerEvent, PauseEvent } from './channels.ts';

export interface EndpointLine {
  readonly level: 'info' | 'warn';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** So many lines of one kind an endpoint may write at once, and then one more for each period. */
const burst = 5;
const periodMs = 60_000;

interface Outage {
  readonly sinceMs: number;
  /** Its beginning was a line, so its end is one, too. */
  readonly isTold: boolean;
}

/** What one endpoint may write of one kind. */
interface Allowance {
  left: number;
  atMs: number;
  omitted: number;
}

/**
 * What a log says of the moves of endpoints: that one is out of use, or fails where there is no other, that it is back and how long it was out, and the rests
 * that they ask for. Probes that fail say nothing new. One that flaps writes a line now and then, which says how many were
 * left out; whoever was told that it is out is always told that it is back.
 */
export class EndpointLines {
  readonly #clock: Clock;
  readonly #outages = new Map<string, Outage>();
  readonly #allowances = new Map<string, Allowance>();

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  breaker({ upstream, endpoint, isOnly, state, reason }: BreakerEvent): EndpointLine | undefined {
    const key = `${upstream} ${endpoint}`;
    const nowMs = this.#clock.monotonic();
    const outage = this.#outages.get(key);
    if (state === 'open' && outage === undefined) {
      const omitted = this.#take(`breaker ${key}`, nowMs);
      this.#outages.set(key, { sinceMs: nowMs, isTold: omitted !== undefined });
      if (omitted === undefined) return undefined;
      const message = `${endpoint} of ${upstream} ${isOnly ? 'fails, and there is no other' : 'is out of use'}`;
      return { level: 'warn', message, fields: { event: 'breaker', state, upstream, endpoint, reason, ...omitted } };
    }
    if (state !== 'closed' || outage === undefined) return undefined;
    this.#outages.delete(key);
    if (!outage.isTold) return undefined;
    const outMs = Math.round(nowMs - outage.sinceMs);
    const message = `${endpoint} of ${upstream} ${isOnly ? 'answers again' : 'is in use again'}`;
    // Whoever is told of nothing less than a warning wants to know that it is over, too.
    return { level: 'warn', message, fields: { event: 'breaker', state, upstream, endpoint, outMs } };
  }

  pause({ upstream, endpoint, what, forMs }: PauseEvent): EndpointLine | undefined {
    const omitted = this.#take(`pause ${upstream} ${endpoint}`, this.#clock.monotonic());
    if (omitted === undefined) return undefined;
    const message = `${endpoint} of ${upstream} asked for a rest`;
    const fields = { event: 'pause', upstream, endpoint, what, forMs: Math.round(forMs), ...omitted };
    return { level: 'info', message, fields };
  }

  /** How many were left out before this one, if any; undefined: this one is left out as well. */
  #take(key: string, nowMs: number): { omitted?: number } | undefined {
    const { left, atMs, omitted } = this.#allowances.get(key) ?? { left: burst, atMs: nowMs, omitted: 0 };
    const allowed = Math.min(burst, left + (nowMs - atMs) / periodMs);
    const isLine = allowed >= 1;
    this.#allowances.set(key, {
      left: isLine ? allowed - 1 : allowed,
      atMs: nowMs,
      omitted: isLine ? 0 : omitted + 1,
    });
    if (!isLine) return undefined;
    return omitted === 0 ? {} : { omitted };
  }
}
