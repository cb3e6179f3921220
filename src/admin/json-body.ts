import type { IncomingMessage } from 'node:http';
import { failureAnswer, type WholeAnswer } from './route.ts';

const maxBytes = 64 * 1024;

export type ReadBody = { readonly value: unknown } | { readonly refusal: WholeAnswer };

/**
 * The JSON that a request carries, or why it is refused. Memory is bounded whatever comes; so is time, by the listener's.
 * Rejects where the connection breaks.
 */
export async function readJsonBody(request: IncomingMessage): Promise<ReadBody> {
  const tooLarge = { refusal: failureAnswer(413, 'SIZE_INVALID', `the body is larger than ${maxBytes} bytes`) };
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return tooLarge;
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of request.iterator({ destroyOnReturn: false })) {
    sizeBytes += piece.length;
    if (sizeBytes > maxBytes) return tooLarge;
    pieces.push(piece);
  }
  if (sizeBytes === 0) return { value: undefined };
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces))) };
  } catch {
    return { refusal: failureAnswer(400, 'UNSUPPORTED', 'the body is not JSON') };
  }
}
