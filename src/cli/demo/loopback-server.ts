import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP server on loopback, or on another address of this machine, that can go away and come back at the same port. */
export class LoopbackServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #address: string;
  #port: number;

  /** With port 0 the system chooses one the first time. */
  constructor(onRequest: RequestListener, port = 0, address = '127.0.0.1') {
    this.#address = address;
    this.#port = port;
    this.#server = createServer({ keepAliveTimeout: 60_000, noDelay: true }, onRequest);
  }

  /** `127.0.0.1:<port>` */
  get host(): string {
    return `${this.#address}:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Listens: always at the same port. */
  async open(): Promise<void> {
    this.#server.listen({ port: this.#port, host: this.#address, backlog: 4096 });
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Refuses connections from now on and cuts those that there are. Resolves once no socket is left. */
  async shut(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Cuts all connections; new ones are welcome. */
  cutConnections(): void {
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shut();
  }
}
