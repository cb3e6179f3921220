import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Handler = (request: SeenRequest, response: ServerResponse) => void;

/** A server on loopback that answers as the test says, and remembers what it was asked. */
export class TestServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  /** Connections accepted, ever. */
  accepted = 0;
  readonly sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #scheme: string;

  private constructor(server: Server, scheme: string, handler: Handler) {
    this.#server = server;
    this.#scheme = scheme;
    server.on('connection', (socket: Socket) => {
      this.accepted++;
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.sockets.delete(socket));
    });
    server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const { method = '', url = '', headers } = request;
      const seen = { method, url, headers, body: Buffer.concat(chunks).toString() };
      this.requests.push(seen);
      handler(seen, response);
    });
  }

  static async start(handler: Handler, tls?: ServerOptions): Promise<TestServer> {
    const raw = tls === undefined ? createServer() : createTlsServer(tls);
    const server = new TestServer(raw, tls === undefined ? 'http' : 'https', handler);
    await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return this.urlAt('127.0.0.1');
  }

  /** The server's address under another name. */
  urlAt(host: string): string {
    return `${this.#scheme}://${host}:${this.port}`;
  }

  get server(): Server {
    return this.#server;
  }

  /** Resolves once no connection is open. */
  async idle(): Promise<void> {
    for (const socket of this.sockets) await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

export function answer(
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
  body: string | Buffer = '',
): void {
  response.writeHead(status, { 'content-length': String(Buffer.byteLength(body)), ...headers });
  response.end(body);
}
