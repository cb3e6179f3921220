import type { IncomingMessage } from 'node:http';
import type { Clock } from '../core/clock.ts';

const discardedBytes = 256 * 1024;
const discardedMs = 1_000;

/** Whether the request has a body, which nothing that we serve needs (RFC 9112 section 6). */
export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request;
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) !== 0);
}

/**
 * Reads on for a moment what the client still sends, so that it sees our answer: closing at once would reset the
 * connection and could take the answer along (RFC 9112 section 9.6). Bounded in bytes and time. A client that waits for
 * "100 Continue" sends nothing, so there is nothing to wait for.
 */
export function discardBody(request: IncomingMessage, clock: Clock): Promise<void> {
  if (request.complete || request.destroyed || request.headers.expect !== undefined) return Promise.resolve();
  return new Promise((resolve) => {
    let bytes = 0;
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > discardedBytes) done();
    };
    const done = () => {
      timer.clear();
      request.off('data', onData).off('end', done).off('close', done).pause();
      resolve();
    };
    const timer = clock.after(discardedMs, done);
    request.on('data', onData).on('end', done).on('close', done);
  });
}
