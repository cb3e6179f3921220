import type { Socket } from 'node:net';
import type { Connection } from './connection.ts';

/** A connection on which nothing was asked for so long may be given up for a new one. */
const spareAfterMs = 1_000;

/** What one address has open. */
interface Holder {
  connections: number;
  /** Those on which nothing is asked, the one that has been so for longest first. */
  readonly idle: Set<Connection>;
}

/**
 * The open connections of clients, by address, and which of them nothing is asked on: new ones, and kept ones between
 * requests.
 *
 * Invariants: a connection is listed from `add` until its socket has closed, its address as long as it has one; `idle` has
 * those without a request. One that was given up for another is never chosen twice. Where there is no room whoever holds most
 * gives way: an address that has more than its share (as many as all have on average) never gets another one's place.
 */
export class ConnectionTable {
  readonly #connections = new Map<Socket, Connection>();
  readonly #holders = new Map<string, Holder>();

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
    const holder = this.#holders.get(connection.client) ?? { connections: 0, idle: new Set() };
    this.#holders.set(connection.client, holder);
    holder.connections++;
    holder.idle.add(connection);
  }

  delete(socket: Socket, connection: Connection): void {
    this.#connections.delete(socket);
    const holder = this.#holders.get(connection.client);
    holder?.idle.delete(connection);
    if (holder !== undefined && --holder.connections === 0) this.#holders.delete(connection.client);
  }

  busy(connection: Connection): void {
    this.#holders.get(connection.client)?.idle.delete(connection);
  }

  /** What was asked is answered, and nothing waits behind it. */
  idle(connection: Connection, nowMs: number): void {
    if (connection.closed) return;
    connection.idleSinceMs = nowMs;
    const idle = this.#holders.get(connection.client)?.idle;
    idle?.delete(connection);
    idle?.add(connection);
  }

  /**
   * Cuts a connection on which nothing was asked for longest, of the address that has most, for one that comes from `client`:
   * so a crowd of idle ones keeps nobody out. Whether there was one: those that have only just come are left alone, their
   * request is on its way.
   */
  makeRoom(client: string, nowMs: number): boolean {
    const own = this.#holders.get(client);
    const hasMore = own !== undefined && own.connections > this.#connections.size / this.#holders.size;
    const spare = hasMore ? spareOf(own, nowMs) : this.#spareOfMost(nowMs);
    if (spare === undefined) return false;
    this.busy(spare);
    spare.cut();
    return true;
  }

  #spareOfMost(nowMs: number): Connection | undefined {
    let [most, spare]: [number, Connection | undefined] = [0, undefined];
    for (const holder of this.#holders.values()) {
      if (holder.connections <= most) continue;
      const its = spareOf(holder, nowMs);
      if (its !== undefined) [most, spare] = [holder.connections, its];
    }
    return spare;
  }
}

function spareOf({ idle }: Holder, nowMs: number): Connection | undefined {
  const [oldest] = idle;
  return oldest !== undefined && nowMs - oldest.idleSinceMs >= spareAfterMs ? oldest : undefined;
}
