import { parseContentRange } from '../core/byte-range.ts';
import type { SourceBody } from '../flights/source.ts';
import { contentLengthOf } from './exchange.ts';
import type { TransportResponse } from './transport.ts';
import { invalidError } from './upstream-errors.ts';

/**
 * What a 200 or 206 to a request for the bytes from `start` to `end` means (RFC 9110 sections 14.4 and 15.3.7). The
 * chunks of a 206 are held to the bytes that were asked for and to those that were promised; with a 200 all bytes come,
 * whatever was asked: what lies beyond costs nothing more, and would cost it all again.
 */
export function toSourceBody(response: TransportResponse, start: number, end: number | undefined): SourceBody {
  const { status, headers, body, context } = response;
  if (status === 200) {
    const blobSizeBytes = contentLengthOf(headers);
    if (blobSizeBytes !== undefined) body.expect(blobSizeBytes);
    const isWhole = start > 0 || end !== undefined;
    return { start: 0, ...(isWhole ? { isWhole } : {}), blobSizeBytes, chunks: body, lend: () => body.lend() };
  }
  const header = headers['content-range'];
  const part = typeof header === 'string' ? parseContentRange(header) : undefined;
  if (part === undefined || part.range.start !== start) {
    body.discard();
    const got = part === undefined ? 'none that can be read' : `one from ${part.range.start}`;
    throw invalidError(context, `answered a range from ${start} with ${got}`);
  }
  body.expect(Math.min(part.range.end, end ?? part.range.end) - start);
  return { start, blobSizeBytes: part.sizeBytes, chunks: body, lend: () => body.lend() };
}
