import { constants } from 'node:crypto';
import type { ServerOptions } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { Clock } from '../../core/clock.ts';
import type { Channels } from '../../telemetry/channels.ts';

/** What a gateway shows to clients. Plain data: the gateways of all threads have the same. */
export interface ServerCertificate {
  /** In PEM form, with its chain. */
  readonly cert: string;
  readonly key: string;
  /** 48 bytes that session tickets are sealed with: so a client may resume at any gateway. */
  readonly ticketKeys: Uint8Array;
}

export interface TlsFrontDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'notice'>;
}

export interface TlsFrontOptions {
  readonly certificate: ServerCertificate;
  readonly handshakeTimeoutMs: number;
  /** With so many connections the oldest handshake makes room for a new one. */
  readonly maxConnections: number;
}

interface Handshake {
  readonly socket: Socket;
  readonly sinceMs: number;
}

/** A handshake that is slower may be given up for a new connection. */
const spareAfterMs = 1_000;
/** HTTP/1.0 is offered by name because a client that offers nothing else would be refused. */
const protocols = ['http/1.1', 'http/1.0'];

/**
 * The server of a gateway that speaks HTTPS: what has to be done before a connection can have a request.
 *
 * Invariants: a connection is in `#handshakes` from its beginning until it is secure or closed, at most for the timeout; it
 * concerns the rest of the gateway only once it is secure (`secureConnection`). Whatever fails before concerns nobody but the
 * client: a word for debugging, and the connection is closed. A new certificate is for new connections; those that are open
 * keep theirs.
 */
export class TlsFront {
  readonly server: Server;
  readonly #deps: TlsFrontDeps;
  readonly #maxConnections: number;
  /** By the client's address and port, all that a connection and its secure socket have in common. */
  readonly #handshakes = new Map<string, Handshake>();
  readonly #secured = new WeakSet<object>();
  #open = 0;

  constructor(deps: TlsFrontDeps, http: ServerOptions, options: TlsFrontOptions) {
    const { certificate, handshakeTimeoutMs, maxConnections } = options;
    this.#deps = deps;
    this.#maxConnections = maxConnections;
    this.server = createServer({
      ...http,
      ...contextOf(certificate),
      ALPNProtocols: protocols,
      handshakeTimeout: handshakeTimeoutMs,
    });
    this.server.on('connection', (socket: Socket) => this.#onConnection(socket));
    // Too late for the one that was dropped: for the next one.
    this.server.on('drop', () => this.#makeRoom(deps.clock.monotonic()));
    this.server.on('secureConnection', (socket) => this.#onSecure(socket));
  }

  /** For connections from now on. */
  useCertificate(certificate: ServerCertificate): void {
    this.server.setSecureContext(contextOf(certificate));
  }

  /** Whether it was no request but the handshake that failed: then the connection is closed. */
  failed(error: NodeJS.ErrnoException, socket: Socket): boolean {
    if (this.#secured.has(socket)) return false;
    const message =
      error.code === 'ERR_SSL_HTTP_REQUEST'
        ? 'a client speaks plain HTTP where TLS is spoken'
        : 'a TLS handshake failed';
    const fields = { client: socket.remoteAddress, code: error.code };
    this.#deps.channels.notice.publish({ level: 'debug', message, fields });
    socket.destroy();
    return true;
  }

  /** Nobody waits for these: no request can come of them any more. */
  cutHandshakes(): void {
    for (const { socket } of this.#handshakes.values()) socket.destroy();
  }

  #onConnection(socket: Socket): void {
    const nowMs = this.#deps.clock.monotonic();
    if (this.#open >= this.#maxConnections) this.#makeRoom(nowMs);
    const key = keyOf(socket);
    this.#open++;
    this.#handshakes.set(key, { socket, sinceMs: nowMs });
    socket.on('close', () => {
      this.#open--;
      if (this.#handshakes.get(key)?.socket === socket) this.#handshakes.delete(key);
    });
  }

  #makeRoom(nowMs: number): void {
    const [oldest] = this.#handshakes.values();
    if (oldest !== undefined && nowMs - oldest.sinceMs >= spareAfterMs) oldest.socket.destroy();
  }

  #onSecure(secure: TLSSocket): void {
    const key = keyOf(secure);
    const raw = this.#handshakes.get(key)?.socket;
    this.#handshakes.delete(key);
    this.#secured.add(secure);
    // A secure socket cannot be reset, and a mere end of it looks like the end of an HTTP/1.0 body.
    if (raw !== undefined) secure.resetAndDestroy = () => reset(secure, raw);
  }
}

function reset(secure: TLSSocket, raw: Socket): TLSSocket {
  raw.resetAndDestroy();
  return secure.destroy();
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function contextOf({ cert, key, ticketKeys }: ServerCertificate): SecureContextOptions & { ticketKeys: Buffer } {
  return {
    cert,
    key,
    ticketKeys: Buffer.from(ticketKeys),
    minVersion: 'TLSv1.2',
    // A client could have us compute for ever on one connection.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}
