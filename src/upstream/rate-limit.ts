import type { Channels } from '../telemetry/channels.ts';
import type { ResponseHeaders } from './upstream-errors.ts';

/** Publishes what Docker Hub says of its pull limit: `ratelimit-limit: 100;w=21600`, `ratelimit-remaining: 76;w=21600`. */
export function publishRateLimit(channels: Channels, upstream: string, headers: ResponseHeaders): void {
  const limit = amount(headers['ratelimit-limit']);
  const remaining = amount(headers['ratelimit-remaining']);
  if (limit === undefined && remaining === undefined) return;
  channels.rateLimit.publish({ upstream, limit, remaining });
}

function amount(header: string | string[] | undefined): number | undefined {
  const match = typeof header === 'string' ? /^\s*(\d{1,15})\s*(?:[;,]|$)/.exec(header) : null;
  return match === null ? undefined : Number(match[1]);
}
