import type { EndpointSnapshot } from '../../upstream/upstream-snapshot.ts';
import { span, until } from '../format/times.ts';

/** How an endpoint is used now, in words. */
export function standingWords({ standing, breaker }: EndpointSnapshot, nowMs: number): string {
  if (breaker.state === 'closed') return standing;
  // Of several that fail each is asked all the same, as an only one is.
  const use = standing === 'failing' ? 'fails, asked once for each request' : 'out of use';
  if (breaker.state === 'half-open') return `${use}, a probe is under way`;
  return breaker.probeAtMs === undefined ? use : `${use}, next probe ${until(breaker.probeAtMs, nowMs)}`;
}

export function pauseWords({ pauses }: EndpointSnapshot): string {
  return pauses
    .map(({ what, leftMs }) => `no ${what === 'everything' ? 'requests at all' : what} for ${span(leftMs)}`)
    .join(', ');
}

/** As a share of the bar that shows what is left of a rate limit; undefined where the upstream tells of none. */
export function budgetOf({
  rateLimit,
}: EndpointSnapshot): { readonly left: number; readonly share: number | undefined } | undefined {
  if (rateLimit?.remaining === undefined) return undefined;
  const { limit, remaining } = rateLimit;
  return { left: remaining, share: limit === undefined || limit <= 0 ? undefined : Math.min(1, remaining / limit) };
}

/** `sound` where all is well; the worst endpoint does not make an upstream bad as long as another one is sound. */
export function upstreamState(endpoints: readonly EndpointSnapshot[]): 'sound' | 'partly' | 'out' | 'failing' {
  const sound = endpoints.filter(({ standing }) => standing === 'sound' || standing === 'degraded');
  if (sound.length === 0) return endpoints.some(({ standing }) => standing === 'failing') ? 'failing' : 'out';
  return endpoints.every(({ standing, pauses }) => standing === 'sound' && pauses.length === 0) ? 'sound' : 'partly';
}

/** Nothing was ever sent to it: there is nothing to say of it, not even that it is sound. */
export function isUnasked(endpoints: readonly EndpointSnapshot[]): boolean {
  return endpoints.every(
    ({ health, breaker, pauses, bodies }) =>
      health.latencyMs === undefined &&
      health.lastError === undefined &&
      breaker.state === 'closed' &&
      pauses.length === 0 &&
      bodies.inFlight + bodies.queued === 0,
  );
}
