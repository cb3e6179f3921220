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
