import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import { rawWireError } from './wire-errors.ts';

/** How long a refused client may take to read why, before its connection is cut. */
const lingerMs = 1_000;

/**
 * Connections that are told an error without a request having been read, and closed. What the client still sends goes on
 * being read meanwhile, or closing would reset the connection and take the answer along.
 */
export class Refusals {
  readonly #clock: Clock;
  readonly #sockets = new Set<Socket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(socket: Socket): boolean {
    return this.#sockets.has(socket);
  }

  refuse(socket: Socket, error: AppError, requestId: string): void {
    if (this.#sockets.has(socket)) return;
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    const timer = this.#clock.after(lingerMs, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      timer.clear();
      this.#sockets.delete(socket);
    });
    socket.end(rawWireError(error, requestId));
    socket.resume();
  }

  get sockets(): Iterable<Socket> {
    return this.#sockets;
  }
}
