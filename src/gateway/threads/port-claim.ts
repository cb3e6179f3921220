import { createServer, type Server } from 'node:net';
import { type Clock, sleep } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { listenFailure } from '../../core/listen-failure.ts';

/** How long another one may take to start on the same port before we give up. */
const waitMs = 10_000;
const againAfterMs = 50;

/**
 * The right to begin listening on a port, on which several sockets of this process then listen together (SO_REUSEPORT). That
 * way the kernel would let a second instance of the same user listen there as well, and share its clients among both; so it
 * is made sure first that the port is nobody's: by listening on it for a moment the usual way, alone.
 *
 * What holds: between that moment and the first shared listener the port is free. Of several instances only one is in there at
 * a time, for it holds a name that the kernel gives to one process per network namespace, and takes back when that dies. So of
 * two instances one fails, whenever they start. A foreign program that takes the port in between makes the first listener fail,
 * unless it shares ports too and runs as the same user: that one would not be noticed.
 *
 * Held until disposed of: when the first shared listener is there, or has failed.
 */
export class PortClaim implements AsyncDisposable {
  readonly #turn: Server;

  private constructor(turn: Server) {
    this.#turn = turn;
  }

  /** Rejects with LISTEN_FAILED where somebody listens there, or cannot. */
  static async take(where: { host: string; port: number }, clock: Clock, signal: AbortSignal): Promise<PortClaim> {
    const claim = new PortClaim(await turnAt(where, clock, signal));
    try {
      await closed(await listening(where));
      return claim;
    } catch (error) {
      await claim[Symbol.asyncDispose]();
      throw listenFailure('listen', where, error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return closed(this.#turn);
  }
}

/** One turn at a time for each port, whatever the address: addresses overlap. */
async function turnAt(where: { host: string; port: number }, clock: Clock, signal: AbortSignal): Promise<Server> {
  // A name in the abstract namespace (unix(7)): no file, and gone with its socket.
  const path = `\0onepull listens on ${where.port}`;
  for (let leftMs = waitMs; ; leftMs -= againAfterMs) {
    try {
      return await listening({ path });
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!isTaken || leftMs <= 0) {
        throw new AppError('LISTEN_FAILED', `another one is starting on port ${where.port} and does not end`, {
          cause: error,
        });
      }
    }
    await sleep(clock, againAfterMs, signal);
  }
}

function listening(where: { host: string; port: number } | { path: string }): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen({ ...where, exclusive: true }, () => resolve(server));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
