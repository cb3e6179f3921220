import { parseContentRange } from '../core/byte-range.ts';
import type { SourceBody } from '../flights/source.ts';
import { contentLengthOf } from './exchange.ts';
import type { TransportResponse } from './transport.ts';
import { invalidError } from './upstream-errors.ts';

/**
 * What a 200 or 206 to a request for the bytes from `start` to `end` means (RFC 9110 sections 14.4 and 15.3.7). The
 * chunks are held to the bytes that were asked for and to those that were promised.
 */
export function toSourceBody(response: TransportResponse, start: number, end: number | undefined): SourceBody {
  const { status, headers, body, context } = response;
  const declaredBytes = contentLengthOf(headers);
  if (status === 200) {
    const known = [declaredBytes, end].filter((bytes) => bytes !== undefined);
    // Without a length there is nothing to hold an early end against, except by the digest.
    if (declaredBytes !== undefined) body.expect(Math.min(...known));
    else if (end !== undefined) body.limit(end);
    return { start: 0, blobSizeBytes: declaredBytes, chunks: body };
  }
  const header = headers['content-range'];
  const part = typeof header === 'string' ? parseContentRange(header) : undefined;
  if (part === undefined || part.range.start !== start) {
    body.discard();
    const got = part === undefined ? 'none that can be read' : `one from ${part.range.start}`;
    throw invalidError(context, `answered a range from ${start} with ${got}`);
  }
  body.expect(Math.min(part.range.end, end ?? part.range.end) - start);
  return { start, blobSizeBytes: part.sizeBytes, chunks: body };
}
