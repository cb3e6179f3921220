import type { Channels } from '../telemetry/channels.ts';
import type { ResponseHeaders } from './upstream-errors.ts';

/** What an upstream says of its limit on us. */
export interface RateLimit {
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
  /** When the count begins anew, in ms from now. */
  readonly resetMs: number | undefined;
}

/** Publishes what an answer says of a limit, if it says anything. */
export function publishRateLimit(channels: Channels, upstream: string, headers: ResponseHeaders, nowMs: number): void {
  const { limit, remaining, resetMs } = readRateLimit(headers, nowMs);
  if (limit === undefined && remaining === undefined) return;
  channels.rateLimit.publish({ upstream, limit, remaining, ...(resetMs === undefined ? {} : { resetMs }) });
}

/**
 * The headers in use:
 * - Docker Hub: `ratelimit-limit: 100;w=21600`, `ratelimit-remaining: 76;w=21600`;
 * - the IETF's drafts up to 06: the same with a list of windows (`100, 100;w=60, 5000;w=3600`) and `ratelimit-reset`, in
 *   seconds; 07: `ratelimit: limit=100, remaining=50, reset=30`; later: `ratelimit: "default";r=50;t=30` beside
 *   `ratelimit-policy: "default";q=100;w=60`;
 * - GitHub, GitLab and many others: `x-ratelimit-*`, the reset as seconds since the epoch, elsewhere as seconds from now.
 */
export function readRateLimit(headers: ResponseHeaders, nowMs: number): RateLimit {
  const one = (name: string) => textOf(headers[`ratelimit-${name}`] ?? headers[`x-ratelimit-${name}`]);
  const both = textOf(headers.ratelimit);
  const policy = textOf(headers['ratelimit-policy']);
  const sentMs = dateOf(textOf(headers.date)) ?? nowMs;
  const reset = one('reset') || parameter(both, 'reset') || parameter(both, 't');
  return {
    limit: amount(one('limit') || parameter(both, 'limit') || parameter(policy, 'q')),
    remaining: amount(one('remaining') || parameter(both, 'remaining') || parameter(both, 'r')),
    resetMs: fromNowMs(reset, sentMs),
  };
}

/** How long to wait where a refusal has no Retry-After: until the count begins anew, if nothing is left of it. */
export function untilResetMs(headers: ResponseHeaders, nowMs: number): number | undefined {
  const { remaining, resetMs } = readRateLimit(headers, nowMs);
  return remaining === undefined || remaining === 0 ? resetMs : undefined;
}

function textOf(header: string | string[] | undefined): string {
  return (typeof header === 'string' ? header : (header?.[0] ?? '')).trim();
}

/** The number that a header begins with: the limit that is closest comes first. */
function amount(text: string): number | undefined {
  const match = /^(\d{1,15})\s*(?:[;,]|$)/.exec(text);
  return match === null ? undefined : Number(match[1]);
}

/** `100` in `limit=100, remaining=50` or in `"default";limit=100`. */
function parameter(text: string, name: string): string {
  const match = new RegExp(`(?:^|[;,])\\s*${name}\\s*=\\s*(\\d{1,15})\\s*(?:[;,]|$)`).exec(text);
  return match?.[1] ?? '';
}

/** A number as large as a date is one: in seconds, or in ms. The sender's own clock is what it counts from. */
function fromNowMs(text: string, sentMs: number): number | undefined {
  const number = amount(text);
  if (number !== undefined && number < 1e9) return number * 1000;
  const untilMs = number === undefined ? dateOf(text) : number < 1e12 ? number * 1000 : number;
  return untilMs === undefined ? undefined : Math.max(0, untilMs - sentMs);
}

/** A date as HTTP or ISO 8601 writes it. The engine takes nearly any text for one. */
function dateOf(text: string): number | undefined {
  const dateMs = /GMT$|^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(dateMs) ? undefined : dateMs;
}
