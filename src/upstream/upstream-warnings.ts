import type { UpstreamSnapshot } from './upstream-snapshot.ts';

/** Upstreams of which no endpoint answers as it should, and why not, in words. */
export function upstreamWarnings(upstreams: readonly UpstreamSnapshot[]): string[] {
  return upstreams.flatMap(({ name, endpoints }) => {
    const [first] = endpoints;
    const isOut = endpoints.every(({ standing }) => standing === 'failing');
    if (!isOut || first === undefined) return [];
    return [`${name} fails, what is not here cannot be had: ${first.breaker.reason ?? 'it does not answer'}`];
  });
}
