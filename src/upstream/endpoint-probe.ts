import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Endpoint } from './endpoint.ts';
import type { Transport } from './transport.ts';
import { cancelled, invalidError } from './upstream-errors.ts';

const longestMs = 5000;

/**
 * A question to an endpoint that was found to be down: `GET /v2/`, without credentials. Any answer that is no failure of a
 * server is a sign of life: 200, or 401 where one has to sign in; and where a mirror does not serve that path, 404.
 */
export function probeEndpoint(
  { clock, transport }: { clock: Clock; transport: Pick<Transport, 'send'> },
  endpoint: Endpoint,
  options: { upstream: string; timeoutMs: number },
): (signal: AbortSignal) => Promise<void> {
  const timeoutMs = Math.min(longestMs, options.timeoutMs);
  return async (signal) => {
    const abort = new AbortController();
    const onAbort = () => abort.abort(cancelled(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    // The whole of it, with the connecting.
    const timer = clock.after(timeoutMs, () => {
      const message = `upstream ${options.upstream} (${endpoint.name}) did not answer a probe within ${timeoutMs} ms`;
      abort.abort(new AppError('UPSTREAM_TIMEOUT', message));
    });
    try {
      const url = endpoint.resolve('/v2/');
      const request = { kind: 'ping', method: 'GET', lane: 'control', endpoint, url, headers: {} } as const;
      const response = await transport.send(request, abort.signal);
      response.body.discard();
      if (response.status >= 500) throw invalidError(response.context, `answered a probe with ${response.status}`);
    } finally {
      timer.clear();
      signal.removeEventListener('abort', onAbort);
    }
  };
}
