import { type Load, type LoadOutcome, type LoadRequest, rangesOf } from '../load/load.ts';
import { LeanConnection } from './lean-connection.ts';

/** Of ranges: as the step of wrk's script. */
const step = 97;

/**
 * Load over connections that read into one shared buffer of 256 KiB: for large bodies it costs the machine much less than
 * a client that reads in small pieces. Checks every status and length; stops when its time is up, in mid-body or not.
 */
export async function leanLoad(request: LoadRequest, { connections, durationMs }: Load): Promise<LoadOutcome> {
  const counted = { requests: 0, bytes: 0 };
  const errors = new Set<string>();
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const stop = new AbortController();
  const clients = Array.from({ length: connections }, async (_, n) => {
    using connection = new LeanConnection(request.origin);
    const leave = () => connection[Symbol.dispose]();
    stop.signal.addEventListener('abort', leave);
    try {
      for (const headers of headersInTurn(request, n)) await fetchOnce(connection, request, headers, counted);
    } catch (error) {
      if (!stop.signal.aborted) errors.add((error as Error).message);
    } finally {
      stop.signal.removeEventListener('abort', leave);
    }
  });
  const timer = setTimeout(() => stop.abort(), durationMs);
  const timeIsUp = new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
  await Promise.race([timeIsUp, Promise.all(clients)]);
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const outcome = { ...counted, seconds, clientMs: (user + system) / 1000, latency: undefined };
  clearTimeout(timer);
  stop.abort();
  await Promise.all(clients);
  return { ...outcome, errors: [...errors].slice(0, 5) };
}

/** Without end: the headers of one request after the other. */
function* headersInTurn({ headers, sizeBytes, rangeBytes }: LoadRequest, client: number) {
  if (rangeBytes === undefined) for (;;) yield headers;
  const all = rangesOf(sizeBytes, rangeBytes).map(({ first, last }) => ({
    ...headers,
    range: `bytes=${first}-${last}`,
  }));
  for (let at = client; ; at += step) yield all[at % all.length] ?? headers;
}

async function fetchOnce(
  connection: LeanConnection,
  { method, path, sizeBytes, rangeBytes }: LoadRequest,
  headers: Readonly<Record<string, string>>,
  counted: { requests: number; bytes: number },
): Promise<void> {
  const { status, bodyBytes } = await connection.request(method, path, headers, (bytes) => {
    counted.bytes += bytes.length;
  });
  if (status !== (rangeBytes === undefined ? 200 : 206)) throw new Error(`status ${status}`);
  const expected = method === 'HEAD' ? 0 : (rangeBytes ?? sizeBytes);
  if (bodyBytes !== expected) throw new Error(`${bodyBytes} bytes instead of ${expected}`);
  counted.requests++;
}
