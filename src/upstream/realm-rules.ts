import { getDomain } from 'tldts';
import { literalAddress } from './address-rules.ts';

export type RealmDecision =
  /** The realm may see credentials. */
  | { readonly kind: 'trusted' }
  /** It may not; it may be asked without any. `reason` completes "credentials are not sent there because ...". */
  | { readonly kind: 'anonymous-only'; readonly reason: string }
  /** Nothing can be asked there. */
  | { readonly kind: 'invalid'; readonly reason: string };

/**
 * Whether the token server that an upstream names in its challenge may see the upstream's credentials. A registry must
 * not be able to send them wherever it likes (CVE-2026-33540): the realm is https (or the upstream itself is not), and
 * it is the upstream's own host, under the same registrable domain, or listed in `authRealms`.
 */
export function decideRealm(realm: string, endpoint: URL, authRealms: readonly string[]): RealmDecision {
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    return { kind: 'invalid', reason: 'the realm is no http or https address' };
  }
  if (url.username !== '' || url.password !== '') {
    return { kind: 'invalid', reason: 'the realm has a user name in it' };
  }
  if (url.protocol === 'http:' && endpoint.protocol === 'https:') {
    return { kind: 'anonymous-only', reason: 'it is not https' };
  }
  if (sameParty(url.hostname, endpoint.hostname) || isListedRealm(url, authRealms)) return { kind: 'trusted' };
  return { kind: 'anonymous-only', reason: "it is not under the upstream's own domain" };
}

/** Whether `authRealms` lists the realm's host: as a host, a host with port, or an address. */
export function isListedRealm(realm: URL, authRealms: readonly string[]): boolean {
  return authRealms.some((entry) => {
    const text = entry.includes('://') ? entry : `${realm.protocol}//${entry}`;
    const listed = URL.canParse(text) ? new URL(text) : undefined;
    if (listed === undefined || listed.hostname !== realm.hostname) return false;
    const namesPort = /:\d+$/.test(text.replace(/^[a-z]+:\/\//i, '').split('/', 1)[0] ?? '');
    return !namesPort || portOf(listed) === portOf(realm);
  });
}

/**
 * Same host, or same registrable domain. Private suffixes count (two tenants of one hosting domain are strangers), and
 * what has no registrable domain, such as an address or a single label, is only ever itself.
 */
function sameParty(a: string, b: string): boolean {
  if (a === b) return true;
  if (literalAddress(a) !== undefined || literalAddress(b) !== undefined) return false;
  const domain = getDomain(a, { allowPrivateDomains: true });
  return domain !== null && domain === getDomain(b, { allowPrivateDomains: true });
}

function portOf(url: URL): string {
  if (url.port !== '') return url.port;
  return url.protocol === 'https:' ? '443' : '80';
}
