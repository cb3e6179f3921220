import { decideRange } from '../../core/byte-range.ts';
import type { Digest } from '../../core/digest.ts';
import type { Content } from './image.ts';

/** A place in a body where sending stops until what was sent has left, and then goes on, or not at all. */
export interface Stop {
  /** Bytes of this body, counted from its own start. */
  readonly atByte: number;
  /** Called once all before it has left this process. `cut` closes the connection, `reset` does so with a TCP reset. */
  readonly reached: () => 'cut' | 'reset' | 'go' | Promise<'cut' | 'reset' | 'go'>;
}

/** A response before it is sent: plain data, so that it can be changed on its way. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** What is sent, except to HEAD. Its length is not checked against the headers. */
  readonly body: Uint8Array;
  /** Under which digest the body is counted, and where in that content it begins. */
  readonly digest: Digest | undefined;
  readonly start: number;
  /** All of the content, where `body` is a part of it. */
  readonly content: Uint8Array | undefined;
  readonly stops: readonly Stop[];
}

/** A connection that is closed without an answer. */
export const dropped = 'dropped';

export function plainAnswer(
  status: number,
  headers: Record<string, string> = {},
  body: string | Uint8Array = '',
): Answer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return {
    status,
    headers: { ...headers, 'content-length': String(bytes.length) },
    body: bytes,
    digest: undefined,
    start: 0,
    content: undefined,
    stops: [],
  };
}

export function jsonAnswer(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  return plainAnswer(status, { 'content-type': 'application/json', ...headers }, JSON.stringify(value));
}

/** An error as distribution-spec section "Error Codes" forms it. */
export function errorAnswer(status: number, code: string, headers: Record<string, string> = {}): Answer {
  const message = code.toLowerCase().replaceAll('_', ' ');
  return jsonAnswer(status, { errors: [{ code, message }] }, headers);
}

/** Content, or the part of it that a Range header asks for (RFC 9110 section 14). */
export function contentAnswer({ digest, bytes, mediaType }: Content, rangeHeader: string | undefined): Answer {
  const decision = decideRange(rangeHeader, bytes.length);
  if (decision.kind === 'unsatisfiable') {
    return { ...errorAnswer(416, 'SIZE_INVALID', { 'content-range': `bytes */${bytes.length}` }), content: bytes };
  }
  const headers = { 'content-type': mediaType, 'docker-content-digest': digest, 'accept-ranges': 'bytes' };
  if (decision.kind === 'whole') return { ...plainAnswer(200, headers, bytes), digest, content: bytes };
  const { start, end } = decision.range;
  const contentRange = `bytes ${start}-${end - 1}/${bytes.length}`;
  const part = plainAnswer(206, { ...headers, 'content-range': contentRange }, bytes.subarray(start, end));
  return { ...part, digest, start, content: bytes };
}
