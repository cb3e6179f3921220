import { once } from 'node:events';
import type { ListenOptions, Server } from 'node:net';
import { listenFailure } from './listen-failure.ts';

/** Has a server listen; returns where, with the port that the system chose for 0. Rejects with LISTEN_FAILED. */
export async function listenOn(
  server: Server,
  key: Parameters<typeof listenFailure>[0],
  options: Pick<ListenOptions, 'backlog'> & { readonly host: string; readonly port: number },
): Promise<{ host: string; port: number }> {
  const { host, port } = options;
  try {
    server.listen(options);
    await once(server, 'listening');
  } catch (cause) {
    throw listenFailure(key, { host, port }, cause);
  }
  const address = server.address();
  return { host, port: typeof address === 'object' && address !== null ? address.port : port };
}
