import type { IncomingHttpHeaders } from 'node:http';
import type { Digest } from '../core/digest.ts';

/** The strong validator of content: its digest (RFC 9110 section 8.8.3). */
export function etagOf(digest: Digest): string {
  return `"${digest}"`;
}

/** Whether an `If-None-Match` names the content: `*`, or a list compared weakly (RFC 9110 section 13.1.2). */
export function noneMatchNames(header: string | undefined, digest: Digest): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  for (const [, opaque] of header.matchAll(/(?:W\/)?"([^"]*)"/g)) {
    if (opaque === digest) return true;
  }
  return false;
}

/**
 * The `Range` that applies, given `If-Range`: that is compared strongly, and without a match the whole is sent (RFC 9110
 * section 13.1.5). A date never matches, as content here has no Last-Modified.
 */
export function applicableRange(headers: IncomingHttpHeaders, digest: Digest): string | undefined {
  const condition = headers['if-range'];
  return condition === undefined || condition === etagOf(digest) ? headers.range : undefined;
}
