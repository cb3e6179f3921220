import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { listenFailure } from '../core/listen-failure.ts';
import type { Depot, NameResolver } from '../pull/depot.ts';
import type { Channels } from '../telemetry/channels.ts';
import { BufferPool } from './buffer-pool.ts';
import { Connection } from './connection.ts';
import { Exchange, type ExchangeDeps } from './exchange.ts';
import { Refusals } from './refusals.ts';
import { RequestHandler } from './request-handler.ts';
import { SharedReads } from './shared-reads.ts';

export interface GatewayDeps {
  readonly depot: Depot;
  readonly names: NameResolver;
  readonly channels: Channels;
  readonly clock: Clock;
  /** Shared by gateways that run in one thread. */
  readonly pool?: BufferPool;
}

export interface GatewayOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** How long a request waits for its response headers (P2). */
  readonly headerTimeoutMs: number;
  /** How long a client may take to accept a block of up to 256 KiB; one that is known to be slow gets 32 KiB. */
  readonly clientTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxHeaderBytes: number;
  /** How long an idle connection stays. Longer than clients keep theirs, so that they are the ones to close. */
  readonly keepAliveTimeoutMs: number;
  /** How long a client may take to send its request's headers. */
  readonly headersReceiveTimeoutMs: number;
  /** How long a client may take to send its whole request. */
  readonly requestReceiveTimeoutMs: number;
}

export const gatewayDefaults: Omit<GatewayOptions, 'host' | 'port'> = {
  headerTimeoutMs: 25_000,
  clientTimeoutMs: 60_000,
  maxConnections: 10_000,
  maxHeaderBytes: 16 * 1024,
  keepAliveTimeoutMs: 95_000,
  headersReceiveTimeoutMs: 10_000,
  requestReceiveTimeoutMs: 30_000,
};

/** Connections beyond the limit that are told so; those beyond these too are dropped without a word. */
const maxRefused = 256;
const overloadedRetryAfterMs = 1_000;

/**
 * The listener for clients.
 *
 * Invariants: every request is an `Exchange` of one `Connection`, or is refused raw; every exchange ends, at the latest
 * with its socket. After `drain` nothing listens, no connection is open and no timer waits.
 */
export class GatewayServer implements AsyncDisposable {
  readonly #deps: GatewayDeps;
  readonly #options: GatewayOptions;
  readonly #server: Server;
  readonly #handler: RequestHandler;
  readonly #refusals: Refusals;
  readonly #exchangeDeps: ExchangeDeps;
  readonly #connections = new Map<Socket, Connection>();
  readonly #idPrefix = randomBytes(4).toString('hex');
  #lastId = 0;
  #running = 0;
  #overloaded = false;
  #drained: Promise<void> | undefined;
  readonly #quiet = Promise.withResolvers<void>();

  constructor(deps: GatewayDeps, options: GatewayOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#handler = new RequestHandler({ ...deps, reads: new SharedReads(deps.pool ?? new BufferPool()) });
    this.#refusals = new Refusals(deps.clock);
    this.#exchangeDeps = {
      clock: deps.clock,
      channels: deps.channels,
      closing: () => this.#drained !== undefined,
    };
    this.#server = this.#createServer();
  }

  /** Resolves with the address that it listens on. Rejects with LISTEN_FAILED. */
  listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      const onError = (error: Error) => reject(listenFailure('listen', { host, port }, error));
      this.#server.once('error', onError);
      this.#server.listen({ host, port, backlog: 4096 }, () => {
        this.#server.off('error', onError);
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? { host, port: address.port } : { host, port });
      });
    });
  }

  /**
   * Stops accepting, lets running responses finish for at most `timeoutMs`, then cuts what is left. A later call with
   * less time hastens an earlier one.
   */
  drain(timeoutMs: number): Promise<void> {
    this.#drained ??= this.#drainOnce();
    if (timeoutMs <= 0) this.#quiet.resolve();
    const timer = this.#deps.clock.after(timeoutMs, () => this.#quiet.resolve());
    return this.#drained.finally(() => timer.clear());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  async #drainOnce(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    if (this.#running === 0) this.#quiet.resolve();
    await this.#quiet.promise;
    await Promise.all([closed, ...[...this.#connections.keys(), ...this.#refusals.sockets].map(destroyed)]);
  }

  #createServer(): Server {
    const options = this.#options;
    const server = createServer({
      noDelay: true,
      // A client that vanished without a word is noticed by the kernel, also while we wait for upstream.
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      maxHeaderSize: options.maxHeaderBytes,
      keepAliveTimeout: options.keepAliveTimeoutMs,
      headersTimeout: options.headersReceiveTimeoutMs,
      requestTimeout: options.requestReceiveTimeoutMs,
      connectionsCheckingInterval: Math.min(5_000, Math.ceil(options.headersReceiveTimeoutMs / 2)),
      // Checked by the handler, whose answer has the form of the rest.
      requireHostHeader: false,
    });
    server.maxConnections = options.maxConnections + maxRefused;
    server.on('connection', (socket) => this.#onConnection(socket));
    const onRequest = (request: IncomingMessage, response: ServerResponse) => this.#onRequest(request, response);
    server.on('request', onRequest);
    // Nothing here wants a body, so "100 Continue" is never said (RFC 9110 section 10.1.1).
    server.on('checkContinue', onRequest);
    server.on('checkExpectation', onRequest);
    server.on('connect', (_request, socket) => {
      this.#refusals.refuse(socket as Socket, new AppError('METHOD_UNSUPPORTED', 'this is no proxy'), this.#nextId());
    });
    server.on('clientError', (error, socket) => this.#onClientError(error, socket as Socket));
    server.on('error', (error) => {
      if (server.listening) this.#warn('cannot accept a connection', error);
    });
    return server;
  }

  #onConnection(socket: Socket): void {
    if (this.#connections.size >= this.#options.maxConnections) {
      if (!this.#overloaded) this.#warn('too many connections: new ones are refused', undefined);
      this.#overloaded = true;
      const error = new AppError('OVERLOADED', 'too many connections', { retryAfterMs: overloadedRetryAfterMs });
      return this.#refusals.refuse(socket, error, this.#nextId());
    }
    const connection = new Connection(socket, (exchange) => this.#run(exchange));
    this.#connections.set(socket, connection);
    socket.on('close', () => {
      this.#connections.delete(socket);
      if (this.#connections.size < this.#options.maxConnections * 0.9) this.#overloaded = false;
      connection.close();
    });
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined || this.#refusals.has(request.socket)) return;
    this.#running++;
    const exchange: Exchange = new Exchange(this.#exchangeDeps, this.#options, {
      id: this.#nextId(),
      request,
      response,
      client: connection.client,
      closed: () => this.#onClosed(connection, exchange),
    });
    connection.add(exchange);
  }

  #run(exchange: Exchange): void {
    exchange.start();
    if (this.#drained === undefined) void this.#handler.handle(exchange);
    else exchange.fail(new AppError('SHUTTING_DOWN', 'this node is shutting down', { retryAfterMs: 1_000 }));
  }

  #onClosed(connection: Connection, exchange: Exchange): void {
    this.#running--;
    connection.over(exchange);
    if (this.#running === 0 && this.#drained !== undefined) this.#quiet.resolve();
  }

  /** What arrived is no HTTP request, or not in time. */
  #onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    // While a response is on the connection, another one would be read as part of it.
    if (error.code === 'ECONNRESET' || this.#connections.get(socket)?.busy === true) {
      socket.destroy();
      return;
    }
    const fields = { client: socket.remoteAddress, code: error.code };
    this.#deps.channels.notice.publish({ level: 'debug', message: 'what a client sent is no request', fields });
    this.#refusals.refuse(socket, clientErrorOf(error), this.#nextId());
  }

  #nextId(): string {
    return `${this.#idPrefix}-${(++this.#lastId).toString(36)}`;
  }

  #warn(message: string, error: unknown): void {
    this.#deps.channels.notice.publish({ level: 'warn', message, error });
  }
}

/** Resolves when the socket has closed and everyone who holds something for it has been told. */
function destroyed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket.destroy();
  });
}

function clientErrorOf({ code, message }: NodeJS.ErrnoException): AppError {
  if (code === 'HPE_HEADER_OVERFLOW') return new AppError('HEADERS_TOO_LARGE', 'the request headers are too large');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new AppError('REQUEST_TIMEOUT', 'the request did not arrive in time');
  return new AppError('REQUEST_MALFORMED', `not an HTTP request: ${message.replace(/^Parse Error: /, '')}`);
}
