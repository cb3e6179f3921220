import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { Clock } from '../core/clock.ts';
import { type Digest, parseDigest } from '../core/digest.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { listenOn } from '../core/listen-on.ts';
import { createServer } from '../core/node-http.ts';
import { parseTraceparent, type Tracing, traced } from '../core/tracing.ts';
import { BodyWriter } from '../gateway/body-writer.ts';
import { BufferPool, bufferPoolOptions } from '../gateway/buffer-pool.ts';
import { ClientPace } from '../gateway/client-pace.ts';
import { SharedReads } from '../gateway/shared-reads.ts';
import type { PeerShelf, ShelfAnswer } from '../pull/peer-shelf.ts';
import type { Channels } from '../telemetry/channels.ts';
import { peerHeaders, peerRoute } from './peer-protocol.ts';
import { PeerRefusals } from './peer-refusals.ts';
import type { PeerVerifier } from './peer-signature.ts';

export interface PeerListenerDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'notice' | 'peerServed' | 'peerRefused'>;
  /** Throws what peers are told while there is nothing to give yet. */
  readonly shelf: () => Pick<PeerShelf, 'blob' | 'manifest'>;
  /** Undefined: who connects is known by its certificate, or the listener is on loopback. */
  readonly verifier: PeerVerifier | undefined;
  readonly tracing?: Tracing | undefined;
}

export interface PeerListenerOptions {
  /** A name or an address without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** With `ca` set, peers show a certificate of that authority. */
  readonly tls?: SecureContextOptions | undefined;
  /** Nodes that it sends one blob to at once, at most. */
  readonly maxChildren: number;
  /** Bodies at once, at most. */
  readonly maxBodies: number;
  readonly maxConnections: number;
  /** A peer that neither asks nor takes a byte for so long is cut off. */
  readonly idleTimeoutMs: number;
  /** Memory for blocks that are on their way to peers. */
  readonly queuedBytes: number;
}

export const peerListenerDefaults = {
  maxBodies: 256,
  maxConnections: 1024,
  idleTimeoutMs: 60_000,
  queuedBytes: 32 * 1024 * 1024,
} as const;

/** A body under way, or about to be. */
interface Sent {
  readonly node: string;
  readonly abort: AbortController;
}

/**
 * Where peers ask for what this node has or brings.
 *
 * Invariants
 * - Nobody gets a byte, nor hears whether something is here, before it has shown that it is a peer.
 * - Of one blob at most `maxChildren` nodes are sent something at a time, and at most `maxBodies` bodies run in all; who is one
 *   too many is told 503 at once. Each body is in `#sending` from before its first byte until it is over, whatever ends it.
 * - A body is read at its reader's pace; memory is the pool's.
 */
export class PeerListener implements AsyncDisposable {
  readonly #deps: PeerListenerDeps;
  readonly #options: PeerListenerOptions;
  readonly #reads: SharedReads;
  readonly #server: Server | TlsServer;
  readonly #refusals: PeerRefusals;
  readonly #sending = new Map<Digest, Sent[]>();
  readonly #handling = new Set<Promise<void>>();
  #bodies = 0;
  #isDraining = false;

  constructor(deps: PeerListenerDeps, options: PeerListenerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#refusals = new PeerRefusals(deps);
    this.#reads = new SharedReads(new BufferPool(bufferPoolOptions(options.queuedBytes)));
    const listener: RequestListener = (request, response) => {
      const handling = this.#handle(request, response).finally(() => this.#handling.delete(handling));
      this.#handling.add(handling);
    };
    const bounds = { maxHeaderSize: 8192, headersTimeout: 10_000, requestTimeout: 10_000, highWaterMark: 256 * 1024 };
    const { tls } = options;
    const mutual = tls?.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true };
    this.#server =
      tls === undefined ? createServer(bounds, listener) : createTlsServer({ ...bounds, ...tls, ...mutual }, listener);
    this.#server.maxConnections = options.maxConnections;
    this.#server.timeout = options.idleTimeoutMs;
    this.#server.keepAliveTimeout = options.idleTimeoutMs;
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) =>
      this.#strange(error, socket),
    );
    this.#server.on('error', (error) => {
      if (this.#server.listening) this.#warn('the listener for peers failed', error);
    });
  }

  /** For connections from now on; those that there are keep what they have. Where it speaks TLS. */
  useTls(tls: SecureContextOptions): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(tls);
  }

  /** Bodies under way. */
  get children(): number {
    return this.#bodies;
  }

  /** Starts listening; returns where. Rejects with LISTEN_FAILED. */
  listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    return listenOn(this.#server, 'cluster.peer.listen', { host, port, backlog: 1024 });
  }

  /** Ends what is being sent of a blob: it stands still here, and those who read it are better served elsewhere. */
  dismiss(digest: Digest): void {
    const error = new AppError('CANCELLED', 'this node cannot get on with it');
    for (const { abort } of this.#sending.get(digest) ?? []) abort.abort(error);
  }

  /** Takes nothing new, on connections that there are neither, and lets what is being sent come to its end within the bound. */
  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#server.listening) this.#server.close();
    this.#server.closeIdleConnections();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = this.#deps.clock.after(timeoutMs, resolve);
    await Promise.race([Promise.all(this.#handling), late]);
    timer.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) this.#server.close();
    this.#server.closeAllConnections();
    await Promise.all(this.#handling);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const abort = new AbortController();
    response.once('close', () => abort.abort(new AppError('CANCELLED', 'the peer left')));
    try {
      const { tracing } = this.#deps;
      const trace = parseTraceparent(request.headers.traceparent);
      const answer = () => this.#answer(request, response, abort);
      if (!trace?.isSampled) return await answer();
      const attributes = { 'http.request.method': request.method, 'url.path': request.url };
      await traced(tracing, trace, { name: 'peer', kind: 'server', attributes }, async (span) => {
        await answer();
        span?.set({ 'http.response.status_code': response.statusCode });
      });
    } catch (thrown) {
      const error = asAppError(thrown);
      if (error.code === 'INTERNAL') this.#warn('a request of a peer failed', error);
      if (response.headersSent) response.destroy();
      else refuse(response, error);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, abort: AbortController): Promise<void> {
    const { method = '', url: target = '' } = request;
    const { range, authorization } = request.headers;
    const { verifier } = this.#deps;
    const node = verifier?.verified(authorization, { method, target, range });
    if (verifier !== undefined && node === undefined) {
      response.writeHead(401, { 'www-authenticate': verifier.challenge(), 'content-length': 0 }).end();
      return;
    }
    if (this.#isDraining) {
      response.shouldKeepAlive = false;
      throw new AppError('SHUTTING_DOWN', 'this node is shutting down', { retryAfterMs: 1000 });
    }
    const route = method === 'GET' ? peerRoute(target) : undefined;
    const digest = route === undefined ? undefined : parseDigest(route.name);
    if (route === undefined || digest === undefined) throw new AppError('PATH_UNKNOWN', 'peers have no such path');
    if (route.what === 'manifest') return this.#sendManifest(digest, response);
    const from = node ?? request.socket.remoteAddress ?? '';
    const { signal } = abort;
    const letGo = this.#enter(digest, { node: from, abort });
    try {
      const answer = await this.#deps.shelf().blob(digest, range, signal);
      if (answer === undefined) throw new AppError('BLOB_UNKNOWN', 'it is not here');
      await this.#send(answer, response, signal, from);
    } finally {
      letGo();
    }
  }

  async #sendManifest(digest: Digest, response: ServerResponse): Promise<void> {
    const bytes = await this.#deps.shelf().manifest(digest);
    if (bytes === undefined) throw new AppError('MANIFEST_UNKNOWN', 'it is not here');
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  }

  /** Takes a place, or throws OVERLOADED. */
  #enter(digest: Digest, sent: Sent): () => void {
    const { maxBodies, maxChildren } = this.#options;
    const all = this.#sending.get(digest) ?? [];
    const nodes = new Set(all.map(({ node }) => node));
    if (this.#bodies >= maxBodies || (!nodes.has(sent.node) && nodes.size >= maxChildren)) {
      throw new AppError('OVERLOADED', 'this node sends to as many peers as it may', { retryAfterMs: 1000 });
    }
    this.#bodies++;
    all.push(sent);
    this.#sending.set(digest, all);
    return () => {
      this.#bodies--;
      all.splice(all.indexOf(sent), 1);
      if (all.length === 0) this.#sending.delete(digest);
    };
  }

  async #send(answer: ShelfAnswer, response: ServerResponse, signal: AbortSignal, node: string): Promise<void> {
    if (answer.kind === 'unsatisfiable') {
      const headers = { 'content-range': `bytes */${answer.sizeBytes}`, 'content-length': 0 };
      response.writeHead(416, headers).end();
      return;
    }
    const { sizeBytes, part, body } = answer;
    const { end } = body;
    let sentBytes = 0;
    const target = {
      pace: new ClientPace(),
      signal,
      begin: (alone: boolean) => {
        const length = end === undefined ? {} : { 'content-length': end - body.start };
        const size = sizeBytes === undefined ? {} : { [peerHeaders.blobSize]: sizeBytes };
        const ranges =
          part === undefined ? {} : { 'content-range': `bytes ${part.start}-${part.end - 1}/${sizeBytes ?? '*'}` };
        response.writeHead(part === undefined ? 200 : 206, { ...length, ...size, ...ranges });
        if (alone) response.flushHeaders();
      },
      write: (block: Uint8Array, taken: (error?: Error | null) => void) => {
        sentBytes += block.length;
        response.write(block, taken);
      },
      end: () => {
        response.end();
      },
    };
    const writer = new BodyWriter({ reads: this.#reads, clock: this.#deps.clock }, target, body, sizeBytes);
    const running = writer.run();
    // The other node waits for its own clients' sake: that the way is there, and how long the blob is, it hears at once.
    writer.beginNow();
    try {
      await running;
    } finally {
      this.#deps.channels.peerServed.publish({ node, bytes: sentBytes });
    }
  }

  /** Who connects is no peer: nothing was asked yet. */
  #strange(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    const address = socket.remoteAddress ?? '';
    const problem = socket.authorizationError ?? error;
    const text = problem instanceof Error ? problem.message : String(problem);
    socket.destroy();
    if (error.code === 'ERR_SSL_HTTP_REQUEST') {
      return this.#refusals.tell('plain', address, 'somebody speaks plain HTTP where peers speak TLS');
    }
    // Scanners and health checks connect and go: that says nothing of certificates.
    if (socket.authorizationError === null && error.code === 'ECONNRESET') return;
    this.#refusals.tell('certificate', address, 'somebody did not show a certificate that peers have', text);
  }

  #warn(message: string, error: unknown): void {
    this.#deps.channels.notice.publish({ level: 'warn', message, error });
  }
}

function refuse(response: ServerResponse, { code, status, retryAfterMs }: AppError): void {
  const headers: Record<string, string | number> = { 'content-length': 0, [peerHeaders.error]: code };
  if (retryAfterMs !== undefined) headers['retry-after'] = Math.ceil(retryAfterMs / 1000);
  response.writeHead(status, headers).end();
}
