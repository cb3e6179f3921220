import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/**
 * Why a request is refused, or undefined. A web page that an operator visits must not read the admin API through their
 * browser: neither across sites, nor with a name of its own that it lets point at this machine (DNS rebinding). Such a
 * name shows in Host; a listener that only this machine reaches has no other names than loopback's and its own.
 */
export function refusalFor(headers: IncomingHttpHeaders, boundHost: string): string | undefined {
  if (headers['sec-fetch-site'] === 'cross-site') return 'requests from other sites are refused';
  if (!isLoopbackName(boundHost)) return undefined;
  const host = hostNameOf(headers.host);
  if (host === undefined || isIP(host) !== 0 || isLoopbackName(host) || host === boundHost.toLowerCase())
    return undefined;
  return 'the Host header names another machine';
}

/**
 * Why a request that changes something is refused although it could read, or undefined. A page of another origin can send a
 * form unasked, but neither this content type nor a method other than GET and POST: for these its browser asks first, and is
 * told no. Sec-Fetch-Site is the browser's own word; without it (it is left out for plain HTTP from afar) Origin says the same.
 */
export function changeRefusalFor(headers: IncomingHttpHeaders): { status: 403 | 415; reason: string } | undefined {
  if (!isOwnOrigin(headers)) return { status: 403, reason: 'changes are made from this origin only' };
  const contentType = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (contentType === 'application/json') return undefined;
  return { status: 415, reason: 'a request that changes something has content-type: application/json' };
}

/** Whether the header Authorization holds the token. Takes as long for a wrong one as for the right one. */
export function holdsToken(authorization: string | undefined, token: string): boolean {
  const given = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
  return token !== '' && timingSafeEqual(hashOf(given), hashOf(token));
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function isOwnOrigin({ 'sec-fetch-site': site, origin, host }: IncomingHttpHeaders): boolean {
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  if (origin === undefined) return true;
  const url = URL.parse(origin);
  return (
    url !== null && url.host !== '' && host !== undefined && url.host === URL.parse(`${url.protocol}//${host}`)?.host
  );
}

/** The name in a Host header, in lower case, without port and brackets; undefined for an absent header (HTTP/1.0). */
function hostNameOf(header: string | undefined): string | undefined {
  return header
    ?.toLowerCase()
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

function isLoopbackName(host: string): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
}
