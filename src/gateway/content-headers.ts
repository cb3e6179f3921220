import type { Interval } from '../core/byte-range.ts';
import type { Digest } from '../core/digest.ts';
import { etagOf } from './conditional.ts';
import { apiVersion } from './wire-errors.ts';

/**
 * Named by its digest, content never changes: RFC 9111 section 5.2.2.1, RFC 8246. Not `public`: that would let a shared
 * cache in between keep what was answered to a request with credentials (RFC 9111 section 3.5, P9).
 */
const immutable = 'max-age=31536000, immutable';
/** A tag moves: whoever keeps the answer asks again before using it (RFC 9111 section 5.2.2.4). */
export const revalidated = 'no-cache';

export interface Content {
  readonly digest: Digest;
  readonly mediaType: string;
  /** What the client named it by; an answer by tag also depends on Accept. */
  readonly namedBy: 'digest' | 'tag';
}

/** What a 304 repeats of a 200 (RFC 9110 section 15.4.5), as a flat list. */
export function validatorHeaders({ digest, namedBy }: Content): string[] {
  const headers = [...apiVersion, 'Docker-Content-Digest', digest, 'ETag', etagOf(digest), 'Cache-Control'];
  if (namedBy === 'digest') headers.push(immutable);
  else headers.push(revalidated, 'Vary', 'Accept');
  return headers;
}

/** The headers of content or a part of it. Without a known size there is no Content-Length: the body goes out chunked. */
export function contentHeaders(content: Content, sizeBytes: number | undefined, part: Interval | undefined): string[] {
  const headers = validatorHeaders(content);
  headers.push('Accept-Ranges', 'bytes', 'Content-Type', content.mediaType);
  if (part !== undefined) {
    headers.push('Content-Length', String(part.end - part.start));
    headers.push('Content-Range', `bytes ${part.start}-${part.end - 1}/${sizeBytes ?? '*'}`);
  } else if (sizeBytes !== undefined) {
    headers.push('Content-Length', String(sizeBytes));
  }
  return headers;
}
