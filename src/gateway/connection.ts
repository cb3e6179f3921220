import type { Socket } from 'node:net';
import { ClientPace } from './client-pace.ts';
import type { Exchange } from './exchange.ts';

/** What looks at a connection's bytes before node:http does. */
export interface ConnectionLane {
  /** node:http has found a request in what it was given. */
  found(exchange: Exchange): void;
  /** Nothing of this connection is HTTP any more. */
  leave(): void;
  /** Its socket has closed. */
  close(): void;
}

/** How many requests may wait on one connection behind the one being answered. */
const maxPipelined = 64;

/**
 * One client connection, whose requests are answered one after the other, also when they come pipelined: a response that
 * waits behind another one could not tell a slow client from its own turn not having come, and would hold memory.
 */
export class Connection {
  readonly client: string;
  readonly pace: ClientPace = new ClientPace();
  /** When it was opened or, later, when its last request was over. */
  idleSinceMs: number;
  lane: ConnectionLane | undefined;
  readonly #socket: Socket;
  readonly #run: (exchange: Exchange) => void;
  readonly #waiting: Exchange[] = [];
  #current: Exchange | undefined;
  #gone = false;

  constructor(socket: Socket, nowMs: number, run: (exchange: Exchange) => void) {
    this.idleSinceMs = nowMs;
    this.#socket = socket;
    this.#run = run;
    this.client = clientOf(socket);
  }

  /** Whether a request is being answered. */
  get busy(): boolean {
    return this.#current !== undefined;
  }

  get closed(): boolean {
    return this.#gone;
  }

  add(exchange: Exchange): void {
    if (this.#current === undefined) {
      this.#current = exchange;
      this.#run(exchange);
      return;
    }
    this.#waiting.push(exchange);
    if (this.#waiting.length > maxPipelined) this.cut();
  }

  /** `exchange` is over: the next one's turn, if its response can still be sent. */
  over(exchange: Exchange): void {
    if (this.#gone || exchange !== this.#current) return;
    this.#current = undefined;
    const next = this.#waiting[0];
    // After a response that closes the connection node gives the socket to no further one; the close is on its way.
    if (next === undefined || next.response.socket === null) return;
    this.#waiting.shift();
    this.#current = next;
    this.#run(next);
  }

  /** Breaks it off, whatever is under way on it. */
  cut(): void {
    this.#socket.destroy();
  }

  /** The socket has closed: so have all its exchanges. */
  close(): void {
    this.#gone = true;
    this.lane?.close();
    this.#current?.close();
    for (const exchange of this.#waiting) exchange.close();
  }
}

/** The address that it comes from. */
export function clientOf({ remoteAddress = 'unknown' }: Socket): string {
  return remoteAddress.replace(/^::ffff:/, '');
}
