import { type AddressClass, classifyAddress, literalAddress } from './address-rules.ts';

export const maxRedirects = 5;

/** What decides where an upstream may send us. */
export interface RedirectSituation {
  /** Where the redirect came from. */
  readonly from: URL;
  readonly location: string | undefined;
  /** Redirects followed already. */
  readonly followed: number;
  readonly upstreamIsHttps: boolean;
  /** The upstream's own address is a private one: then it may name its neighbours. */
  readonly upstreamIsInternal: boolean;
  /** `redirects.allow`: hosts, `host:port`, or `*.domain`. */
  readonly allow: readonly string[];
}

export type RedirectDecision =
  | { readonly kind: 'follow'; readonly url: URL; readonly sameOrigin: boolean }
  /** `reason` completes "upstream's redirect was refused: ...". It names a host at most: a signed query is a secret. */
  | { readonly kind: 'refuse'; readonly reason: string };

export function decideRedirect(situation: RedirectSituation): RedirectDecision {
  const { from, location, followed, allow } = situation;
  if (followed >= maxRedirects) return { kind: 'refuse', reason: `more than ${maxRedirects} in a row` };
  if (location === undefined || !URL.canParse(location, from)) {
    return { kind: 'refuse', reason: 'it has no usable Location' };
  }
  const url = new URL(location, from);
  url.hash = '';
  url.username = '';
  url.password = '';
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return { kind: 'refuse', reason: `it leads to ${url.protocol}` };
  }
  if (url.protocol === 'http:' && (situation.upstreamIsHttps || from.protocol === 'https:')) {
    return { kind: 'refuse', reason: `it leads from https to plain http at ${url.host}` };
  }
  const sameOrigin = url.origin === from.origin;
  const address = literalAddress(url.hostname);
  if (!sameOrigin && address !== undefined && !isAllowedHost(url, allow)) {
    const refusal = refuseAddress(url.hostname, classifyAddress(address), situation.upstreamIsInternal);
    if (refusal !== undefined) return { kind: 'refuse', reason: refusal };
  }
  return { kind: 'follow', url, sameOrigin };
}

/** Why an address that `host` is, or resolves to, may not be dialled; undefined where it may. */
export function refuseAddress(host: string, found: AddressClass, upstreamIsInternal: boolean): string | undefined {
  if (found === 'public' || (found === 'internal' && upstreamIsInternal)) return undefined;
  return `${host} is a private address; list it in redirects.allow (a token server in authRealms) if it is meant`;
}

/** Whether `redirects.allow` names the host. `*.domain` means any host below the domain. */
export function isAllowedHost(url: URL, allow: readonly string[]): boolean {
  return allow.some((entry) => {
    const pattern = entry.trim().toLowerCase();
    if (pattern.startsWith('*.')) return url.hostname.endsWith(pattern.slice(1));
    return pattern === url.hostname || pattern === url.host || `[${pattern}]` === url.hostname;
  });
}
