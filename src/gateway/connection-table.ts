import type { Socket } from 'node:net';
import type { Connection } from './connection.ts';

/** A connection on which nothing was asked for so long may be given up for a new one. */
const spareAfterMs = 1_000;

/**
 * The open connections of clients, and which of them nothing is asked on: new ones, and kept ones between requests.
 *
 * Invariants: a connection is listed from `add` until its socket has closed; `#idle` has those without a request, the one
 * that has been so for longest first. One that was given up for another is never chosen twice.
 */
export class ConnectionTable {
  readonly #connections = new Map<Socket, Connection>();
  readonly #idle = new Set<Connection>();

  get size(): number {
    return this.#connections.size;
  }

  get sockets(): Iterable<Socket> {
    return this.#connections.keys();
  }

  get(socket: Socket): Connection | undefined {
    return this.#connections.get(socket);
  }

  add(socket: Socket, connection: Connection): void {
    this.#connections.set(socket, connection);
    this.#idle.add(connection);
  }

  delete(socket: Socket, connection: Connection): void {
    this.#connections.delete(socket);
    this.#idle.delete(connection);
  }

  busy(connection: Connection): void {
    this.#idle.delete(connection);
  }

  /** What was asked is answered, and nothing waits behind it. */
  idle(connection: Connection, nowMs: number): void {
    if (connection.closed) return;
    connection.idleSinceMs = nowMs;
    this.#idle.delete(connection);
    this.#idle.add(connection);
  }

  /**
   * Cuts the connection on which nothing was asked for longest, so that a crowd of idle ones keeps nobody out. Whether
   * there was one: those that have only just come are left alone, their request is on its way.
   */
  makeRoom(nowMs: number): boolean {
    for (const connection of this.#idle) {
      if (nowMs - connection.idleSinceMs < spareAfterMs) return false;
      this.#idle.delete(connection);
      connection.cut();
      return true;
    }
    return false;
  }
}
