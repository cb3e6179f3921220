import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { HttpResponse } from './exchange.ts';
import { contentLengthOf } from './exchange.ts';
import type { TransportResponse } from './transport.ts';
import { deadLinkError, deadLinkStatuses, type ErrorContext, statusError } from './upstream-errors.ts';

const maxErrorBodyBytes = 16 * 1024;

/** A small body as a whole. `tooLarge` is thrown where it has more than `maxBytes`; the whole has one deadline. */
export async function readDocument(
  response: HttpResponse & { readonly context: ErrorContext },
  limits: { clock: Clock; deadlineMs: number; maxBytes: number; tooLarge: () => AppError },
): Promise<Buffer> {
  const { body, headers, context } = response;
  const declaredBytes = contentLengthOf(headers);
  if (declaredBytes !== undefined && declaredBytes > limits.maxBytes) {
    body.discard();
    throw limits.tooLarge();
  }
  const deadline = limits.clock.after(limits.deadlineMs, () => {
    const message = `upstream ${context.upstream} (${context.host}) did not finish its answer within ${limits.deadlineMs} ms`;
    body.abort(new AppError('UPSTREAM_TIMEOUT', message));
  });
  try {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > limits.maxBytes) throw limits.tooLarge();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    deadline.clear();
  }
}

/**
 * The error that an answer outside 2xx is. Its body is read for upstream's own words, but only where upstream itself
 * speaks: a storage service's refusal repeats the signed request.
 */
export async function answeredError(response: TransportResponse, clock: Clock, deadlineMs: number): Promise<AppError> {
  const { status, headers, context } = response;
  let body: string | undefined;
  if (response.own || context.kind === 'token') {
    const tooLarge = () => new AppError('UPSTREAM_INVALID', 'the error is too long');
    body = await readDocument(response, { clock, deadlineMs, maxBytes: maxErrorBodyBytes, tooLarge }).then(
      (bytes) => bytes.toString('utf8'),
      () => undefined,
    );
  } else {
    response.body.discard();
    if (deadLinkStatuses.includes(status)) return deadLinkError(context, status);
  }
  return statusError(context, { status, headers, body, nowMs: clock.now() });
}
