import { randomBytes } from 'node:crypto';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { listenFailure } from '../core/listen-failure.ts';
import { createServer } from '../core/node-http.ts';
import type { Depot, NameResolver } from '../pull/depot.ts';
import type { Channels, RequestTally } from '../telemetry/channels.ts';
import { Admission, type Burden, type ResponseBound } from './admission.ts';
import { BlockReads } from './blocks/block-reads.ts';
import type { SharedBlocks } from './blocks/shared-blocks.ts';
import { BufferPool, bufferPoolOptions } from './buffer-pool.ts';
import { Connection, clientOf } from './connection.ts';
import { ConnectionTable } from './connection-table.ts';
import { Exchange, type ExchangeDeps } from './exchange.ts';
import type { Gateway } from './gateway.ts';
import type { GatewayMemory } from './gateway-memory.ts';
import { FastLane } from './hits/fast-lane.ts';
import type { Hits } from './hits/hit-depot.ts';
import { sparing } from './hits/node-internals.ts';
import { QueuedBytes } from './queued-bytes.ts';
import { RefusalReport } from './refusal-report.ts';
import { Refusals } from './refusals.ts';
import { RequestHandler } from './request-handler.ts';
import { type GatewayCounts, ownCounts } from './shared-counts.ts';
import { SharedReads } from './shared-reads.ts';
import { type ServerCertificate, TlsFront } from './tls/tls-front.ts';
import { boundUnsent } from './unsent-bound.ts';

export interface GatewayDeps {
  readonly depot: Depot;
  /** What `depot` remembers, where it does: to be answered without asking it. */
  readonly hits?: Hits;
  readonly names: NameResolver;
  readonly channels: Channels;
  readonly tally: RequestTally;
  readonly clock: Clock;
  /** Between 0 and 1, as `Math.random`. */
  random(): number;
  /** Shared by gateways that run in one thread. */
  readonly pool?: BufferPool;
  /** Blocks of hot files, shared by all gateways: for this one's thread. */
  readonly blocks?: SharedBlocks | undefined;
  /** What it counts together with others, as the bounds are for all. Left out: it is the only gateway. */
  readonly counts?: GatewayCounts;
}

export interface GatewayOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Other gateways of this process listen there as well. */
  readonly reusePort?: boolean | undefined;
  /** One of so many requests is traced, besides those whose client traces them. Left out: none are. */
  readonly traceOneIn?: number | undefined;
  /** How long a request waits for its response headers (P2). */
  readonly headerTimeoutMs: number;
  /** How long a client may take to accept a block of up to 1 MiB; one that is known to be slow gets 32 KiB. */
  readonly clientTimeoutMs: number;
  readonly maxConnections: number;
  /** What clients are shown: then they speak HTTPS. Left out: plain HTTP. */
  readonly certificate?: ServerCertificate | undefined;
  /** What sets `maxConnections`, for the report of refusals. */
  readonly connectionBound: 'connections' | 'descriptors';
  /** Connections beyond the limit that are told so; those beyond these too are dropped without a word. */
  readonly maxRefused: number;
  /** Answers under way at most. */
  readonly maxResponses: number;
  /** Bytes that wait in memory for clients to take them, at most. */
  readonly maxQueuedBytes: number;
  readonly maxHeaderBytes: number;
  /** What this gateway has of the memory that is divided; left out: a little, and no blocks. */
  readonly memory?: GatewayMemory | undefined;
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
  connectionBound: 'connections',
  maxRefused: 256,
  maxResponses: 5_000,
  maxQueuedBytes: 256 * 1024 * 1024,
  maxHeaderBytes: 16 * 1024,
  keepAliveTimeoutMs: 95_000,
  headersReceiveTimeoutMs: 10_000,
  requestReceiveTimeoutMs: 30_000,
};

/** Whoever is refused is told one of these times, so that a crowd does not come back at once. */
const retryAfterMs = { least: 1_000, most: 5_000 };
/** Requests that wait for their turn on their connections (pipelining), beyond one for each answer under way. */
const sparePipelined = 64;

/**
 * The listener for clients.
 *
 * Invariants: every request is an `Exchange` of one `Connection`, or is refused raw; every exchange ends, at the latest
 * with its socket. An exchange reaches the handler only if it was admitted, which is decided when its turn has come.
 * After `drain` nothing listens, no connection is open and no timer waits.
 */
export class GatewayServer implements Gateway {
  /** None: it runs in the thread that it was made in. */
  readonly threads = { running: 0, replaced: 0 } as const;
  readonly #deps: GatewayDeps;
  readonly #options: GatewayOptions;
  readonly #server: Server;
  readonly #tls: TlsFront | undefined;
  readonly #handler: RequestHandler;
  readonly #refusals: Refusals;
  readonly #exchangeDeps: ExchangeDeps;
  readonly #connections = new ConnectionTable();
  readonly #queued: QueuedBytes;
  readonly #counts: GatewayCounts;
  readonly #admission: Admission;
  readonly #report: RefusalReport;
  readonly #lane: FastLane | undefined;
  readonly #idPrefix = randomBytes(4).toString('hex');
  #lastId = 0;
  /** Requests that were read and are not over. */
  #running = 0;
  #drained: Promise<void> | undefined;
  readonly #quiet = Promise.withResolvers<void>();

  constructor(deps: GatewayDeps, options: GatewayOptions) {
    this.#deps = deps;
    this.#options = options;
    const pool = deps.pool ?? new BufferPool(options.memory && bufferPoolOptions(options.memory.bufferBytes));
    this.#handler = new RequestHandler({
      ...deps,
      reads: new SharedReads(pool),
      blocks: deps.blocks && new BlockReads(deps.blocks),
    });
    this.#queued = new QueuedBytes(pool);
    this.#counts = deps.counts ?? ownCounts();
    const { responses, full, heavy } = this.#counts;
    this.#admission = new Admission({ queuedBytes: () => this.#queuedInAll(), responses, full, heavy }, options);
    this.#report = new RefusalReport(deps);
    this.#refusals = new Refusals(deps.clock);
    this.#exchangeDeps = {
      clock: deps.clock,
      channels: deps.channels,
      tally: deps.tally,
      random: deps.random,
      queued: this.#queued,
      closing: () => this.#drained !== undefined,
    };
    this.#lane = deps.hits && this.#createLane(deps.hits);
    this.#tls = this.#createTls();
    this.#server = this.#createServer();
  }

  /** Connections that are open, those that are being refused not counted. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Requests that were answered by bytes that were prepared, and that node:http has not seen. */
  get laneAnswers(): number {
    return this.#lane?.answers ?? 0;
  }

  /** Answers under way, and the bytes that are held in memory for clients. */
  load(): { readonly responses: number; readonly queuedBytes: number } {
    this.#noteQueued();
    return { responses: this.#admission.responses, queuedBytes: this.#queued.total };
  }

  /** Resolves with the address that it listens on. Rejects with LISTEN_FAILED. */
  listen(): Promise<{ host: string; port: number }> {
    const { host, port, reusePort = false } = this.#options;
    return new Promise((resolve, reject) => {
      const onError = (error: Error) => reject(listenFailure('listen', { host, port }, error));
      this.#server.once('error', onError);
      this.#server.listen({ host, port, reusePort, backlog: 4096 }, () => {
        this.#server.off('error', onError);
        boundUnsent(this.#server);
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? { host, port: address.port } : { host, port });
      });
    });
  }

  /** For new connections of a gateway that speaks HTTPS. */
  useCertificate(certificate: ServerCertificate): void {
    this.#tls?.useCertificate(certificate);
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
    this.#lane?.close();
    const closed = new Promise<void>((resolve) => {
      sparing(this.#lane?.waiting() ?? [], () => {
        this.#server.close(() => resolve());
        this.#server.closeIdleConnections();
      });
    });
    this.#tls?.cutHandshakes();
    if (this.#running === 0) this.#quiet.resolve();
    await this.#quiet.promise;
    await Promise.all([closed, ...[...this.#connections.sockets, ...this.#refusals.sockets].map(destroyed)]);
    this.#report[Symbol.dispose]();
  }

  #createLane(hits: Hits): FastLane {
    const { clock, channels, tally, random } = this.#deps;
    return new FastLane(
      {
        hits,
        clock,
        channels,
        tally,
        random,
        admission: this.#admission,
        connections: this.#connections,
        queued: this.#queued,
        begun: () => {
          this.#running++;
        },
        over: () => this.#onOver(),
        nextId: () => this.#nextId(),
      },
      this.#options,
    );
  }

  #createTls(): TlsFront | undefined {
    const { certificate, maxConnections, headersReceiveTimeoutMs: handshakeTimeoutMs } = this.#options;
    if (certificate === undefined) return undefined;
    return new TlsFront(this.#deps, this.#httpOptions(), { certificate, handshakeTimeoutMs, maxConnections });
  }

  #httpOptions(): ServerOptions {
    const options = this.#options;
    return {
      noDelay: true,
      // A client that vanished without a word is noticed by the kernel, also while we wait for upstream.
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      maxHeaderSize: options.maxHeaderBytes,
      keepAliveTimeout: options.keepAliveTimeoutMs,
      headersTimeout: options.headersReceiveTimeoutMs,
      requestTimeout: options.requestReceiveTimeoutMs,
      connectionsCheckingInterval: Math.min(5_000, Math.ceil(options.headersReceiveTimeoutMs / 2)),
      // Without a body there is none to read: half the stream's events are not told.
      optimizeEmptyRequests: true,
      // Checked by the handler, whose answer has the form of the rest.
      requireHostHeader: false,
    };
  }

  #createServer(): Server {
    const options = this.#options;
    const server: Server = this.#tls?.server ?? createServer(this.#httpOptions());
    server.maxConnections = options.maxConnections + options.maxRefused;
    const connected = this.#tls === undefined ? 'connection' : 'secureConnection';
    server.on(connected, (socket: Socket) => this.#onConnection(socket));
    server.on('drop', () => this.#report.refused(options.connectionBound, options.maxConnections));
    const onRequest = (request: IncomingMessage, response: ServerResponse) => this.#onRequest(request, response);
    server.on('request', onRequest);
    // Nothing here wants a body, so "100 Continue" is never said (RFC 9110 section 10.1.1).
    server.on('checkContinue', onRequest);
    server.on('checkExpectation', onRequest);
    server.on('connect', (_request, socket) => {
      this.#connections.get(socket as Socket)?.lane?.leave();
      this.#refuseStrange(socket as Socket, new AppError('METHOD_UNSUPPORTED', 'this is no proxy'));
    });
    server.on('clientError', (error, socket) => this.#onClientError(error, socket as Socket));
    server.on('error', (error) => {
      if (!server.listening) return;
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EMFILE' || code === 'ENFILE') this.#report.refused('descriptors', this.#connections.size);
      else this.#warn('cannot accept a connection', error);
    });
    return server;
  }

  /** Here exactly, elsewhere as it was last noted. */
  #queuedInAll(): number {
    this.#noteQueued();
    const { own, total } = this.#counts.queuedKiB;
    return this.#queued.total + (total - own) * 1024;
  }

  #noteQueued(): void {
    const { queuedKiB } = this.#counts;
    const nowKiB = Math.ceil(this.#queued.total / 1024);
    if (nowKiB !== queuedKiB.own) queuedKiB.add(nowKiB - queuedKiB.own);
  }

  #onConnection(socket: Socket): void {
    const { maxConnections, connectionBound } = this.#options;
    const { connections } = this.#counts;
    const nowMs = this.#deps.clock.monotonic();
    connections.add(1);
    if (connections.total > maxConnections && !this.#connections.makeRoom(clientOf(socket), nowMs)) {
      connections.add(-1);
      this.#report.refused(connectionBound, maxConnections);
      return this.#refusals.refuse(socket, this.#overloaded('too many connections'), this.#nextId());
    }
    const connection = new Connection(socket, nowMs, (exchange) => this.#run(exchange));
    this.#connections.add(socket, connection);
    this.#lane?.attach(socket, connection);
    socket.on('close', () => {
      this.#connections.delete(socket, connection);
      connections.add(-1);
      connection.close();
    });
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined || this.#refusals.has(request.socket)) return;
    // Cut already: the parser goes on with what it was given.
    if (request.socket.destroyed) return;
    // Those that wait behind others hold memory, and to be told so they would have to wait as well.
    if (connection.busy && this.#running >= 2 * this.#options.maxResponses + sparePipelined) return connection.cut();
    this.#running++;
    const exchange: Exchange = new Exchange(this.#exchangeDeps, this.#options, {
      id: this.#nextId(),
      request,
      response,
      client: connection.client,
      pace: connection.pace,
      closed: () => this.#onClosed(connection, exchange),
    });
    this.#connections.busy(connection);
    connection.lane?.found(exchange);
    connection.add(exchange);
  }

  #run(exchange: Exchange): void {
    if (this.#drained !== undefined) {
      return exchange.fail(new AppError('SHUTTING_DOWN', 'this node is shutting down', { retryAfterMs: 1_000 }));
    }
    const bound = this.#admission.enter(burdenOf(exchange.request));
    if (bound !== undefined) {
      this.#report.refused(bound, this.#limitOf(bound));
      return exchange.fail(this.#overloaded('this node has all the work that it can do'));
    }
    exchange.admitted = true;
    this.#handler.handle(exchange);
    exchange.start();
  }

  #onClosed(connection: Connection, exchange: Exchange): void {
    if (exchange.admitted) this.#admission.leave();
    this.#lane?.learn(exchange);
    connection.over(exchange);
    if (!connection.busy) this.#connections.idle(connection, this.#deps.clock.monotonic());
    this.#onOver();
  }

  #onOver(): void {
    this.#running--;
    this.#noteQueued();
    if (this.#running === 0 && this.#drained !== undefined) this.#quiet.resolve();
  }

  #limitOf(bound: ResponseBound): number {
    return bound === 'responses' ? this.#options.maxResponses : this.#options.maxQueuedBytes;
  }

  #overloaded(message: string): AppError {
    const { least, most } = retryAfterMs;
    const seconds = Math.round((least + this.#deps.random() * (most - least)) / 1000);
    return new AppError('OVERLOADED', message, { retryAfterMs: seconds * 1000 });
  }

  /** What arrived is no HTTP request, or not in time. */
  #onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    if (this.#tls?.failed(error, socket)) return;
    // While a response is on the connection, another one would be read as part of it.
    if (error.code === 'ECONNRESET' || this.#connections.get(socket)?.busy === true) {
      socket.destroy();
      return;
    }
    const fields = { client: socket.remoteAddress, code: error.code };
    this.#deps.channels.notice.publish({ level: 'debug', message: 'what a client sent is no request', fields });
    this.#refuseStrange(socket, clientErrorOf(error));
  }

  /** What was no request is counted, and not logged: anybody can send any number of these. */
  #refuseStrange(socket: Socket, error: AppError): void {
    const { code: errorCode, status } = error;
    const cell = this.#deps.tally.cell({ route: 'other', method: '', status, served: undefined });
    cell.add({ firstByteMs: undefined, durationMs: 0, complete: true, errorCode });
    this.#refusals.refuse(socket, error, this.#nextId());
  }

  #nextId(): string {
    return `${this.#idPrefix}-${(++this.#lastId).toString(36)}`;
  }

  #warn(message: string, error: unknown): void {
    this.#deps.channels.notice.publish({ level: 'warn', message, error });
  }
}

function burdenOf({ method, url }: IncomingMessage): Burden {
  if (url === '/v2/' || url === '/v2') return 'ping';
  return method === 'HEAD' ? 'head' : 'body';
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
