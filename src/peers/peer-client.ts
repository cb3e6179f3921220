import { createConnection } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { Pool } from 'undici';
import type { Holder } from '../cluster/coordinator.ts';
import { parseContentRange } from '../core/byte-range.ts';
import type { Clock } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { AppError, asAppError } from '../core/errors.ts';
import type { Tracing } from '../core/tracing.ts';
import type { Source, SourceBody, SourceRequest } from '../flights/source.ts';
import type { Channels } from '../telemetry/channels.ts';
import { exchange, type HttpResponse } from '../upstream/exchange.ts';
import { blobPath, manifestPath, peerHeaders, peerProtocol } from './peer-protocol.ts';
import { PeerRefusals } from './peer-refusals.ts';
import { PeerSigner } from './peer-signature.ts';

export interface PeerClientDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'notice' | 'peerReceived' | 'peerRefused'>;
  readonly tracing?: Tracing | undefined;
}

export interface PeerClientOptions {
  /** This node's id: what its requests are signed as. */
  readonly node: string;
  readonly secret: string | undefined;
  readonly tls?: SecureContextOptions | undefined;
  /** Connections to one peer, at most. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** From a request to the head of its answer: a peer answers at once, whatever it has. */
  readonly headersTimeoutMs: number;
  /** A body that brings nothing for so long has failed. */
  readonly stallTimeoutMs: number;
}

export const peerClientDefaults = {
  connections: 128,
  connectTimeoutMs: 1000,
  headersTimeoutMs: 5000,
  stallTimeoutMs: 30_000,
} as const;

interface Peer {
  readonly address: string;
  readonly pool: Pool;
  readonly signer: PeerSigner | undefined;
}

const mostPeers = 1024;

/**
 * Reads from other nodes.
 *
 * Invariants: every wait is bounded; a request is signed with a nonce of its peer's, and asked once more where that nonce is
 * not good any more. A body that breaks off says whether the node is gone (UPSTREAM_UNREACHABLE: nobody listens there) or only
 * that transfer (UPSTREAM_INTERRUPTED); so does a request that could not be made. A blob is read over one connection: who reads
 * many from one node has one for each.
 *
 * An address is what the directory says, and the directory may lie: nothing is asked there but a path of ours, by GET; no answer
 * leads elsewhere; what is signed is of no use to anybody else; and where certificates are the proof nobody is asked without.
 */
export class PeerClient implements AsyncDisposable {
  readonly #deps: PeerClientDeps;
  readonly #options: PeerClientOptions;
  readonly #peers = new Map<string, Peer>();
  readonly #refusals: PeerRefusals;
  /** Of peers that are not asked in that way any more: what is under way there comes to its end. */
  readonly #leaving = new Set<Pool>();
  #tls: SecureContextOptions | undefined;

  constructor(deps: PeerClientDeps, options: PeerClientOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#tls = options.tls;
    this.#refusals = new PeerRefusals(deps);
  }

  /** For connections from now on; what is under way comes to its end. */
  useTls(tls: SecureContextOptions): void {
    this.#tls = tls;
    for (const peer of this.#peers.values()) this.#retire(peer);
    this.#peers.clear();
  }

  /** A holder of a blob, as a source for its flight. */
  source({ node, address }: Pick<Holder, 'node' | 'address'>, digest: Digest): Source {
    return {
      name: `peer ${node}`,
      // Which one it was is not for clients to read, nor a label of metrics: there is another one after each start.
      origin: 'peer',
      isPeer: true,
      // Its line is filled by one; and ranges ahead of what it has would have it fetch them before what all others wait for.
      standing: () => ({ restMs: 0, restReason: undefined, cost: -1, hasRoom: false }),
      open: (request, signal) => this.#open(node, address, digest, request, signal),
      discredit: (error) => {
        const message = 'a peer sent what does not have the digest asked for';
        this.#deps.channels.notice.publish({ level: 'warn', message, error, fields: { event: 'peer-wrong', node } });
      },
    };
  }

  /** A manifest's bytes, not looked at; undefined where the node does not have it. */
  async manifest(address: string, digest: Digest, maxBytes: number, signal: AbortSignal): Promise<Buffer | undefined> {
    const response = await this.#ask(address, manifestPath(digest), undefined, signal);
    if (response.status === 404) {
      response.body.discard();
      return undefined;
    }
    if (response.status !== 200) throw refusal(address, response);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response.body) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new AppError('MANIFEST_TOO_LARGE', `the manifest of ${address} is too large`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pools = [...[...this.#peers.values()].map(({ pool }) => pool), ...this.#leaving];
    this.#peers.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  async #open(
    node: string,
    address: string,
    digest: Digest,
    { start, end }: SourceRequest,
    signal: AbortSignal,
  ): Promise<SourceBody> {
    const isPart = start > 0 || end !== undefined;
    const range = isPart ? `bytes=${start}-${end === undefined ? '' : end - 1}` : undefined;
    const response = await this.#ask(address, blobPath(digest), range, signal);
    const { status, headers, body } = response;
    if (status !== 200 && status !== 206) throw refusal(node, response);
    const found = status === 206 ? parseContentRange(String(headers['content-range'] ?? '')) : undefined;
    if (status === 206 && found === undefined) {
      body.discard();
      throw new AppError('UPSTREAM_FAILED', `${node} sent a part without saying which`);
    }
    const size = headers[peerHeaders.blobSize];
    const blobSizeBytes = typeof size === 'string' && /^\d{1,15}$/.test(size) ? Number(size) : undefined;
    body.countWith((bytes) => this.#deps.channels.peerReceived.publish({ node, bytes }));
    const answer = { start: found?.range.start ?? 0, blobSizeBytes, isWhole: isPart && status === 200 };
    return { ...answer, chunks: this.#chunks(body, address, signal) };
  }

  async *#chunks(body: HttpResponse['body'], address: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (thrown) {
      const error = asAppError(thrown);
      if (signal.aborted || error.code !== 'UPSTREAM_INTERRUPTED' || !(await this.#isGone(address))) throw error;
      throw new AppError('UPSTREAM_UNREACHABLE', `${address} is gone`, { cause: error });
    }
  }

  /** Asks; with a signature, where there is a secret. */
  async #ask(address: string, path: string, range: string | undefined, signal: AbortSignal): Promise<HttpResponse> {
    const peer = this.#peer(address);
    const { signer } = peer;
    for (let attempt = 0; ; attempt++) {
      const signed = { method: 'GET', target: path, range, node: this.#options.node, to: address };
      const authorization = signer?.authorization(signed);
      const headers = {
        ...(range === undefined ? {} : { range }),
        ...(authorization === undefined ? {} : { authorization }),
      };
      const response = await this.#exchange(peer, path, headers, signal);
      if (response.status !== 401) return response;
      response.body.discard();
      const challenge = response.headers['www-authenticate'];
      const isNew = signer?.challenged(typeof challenge === 'string' ? challenge : undefined) === true;
      if (!isNew || attempt > 0) throw this.#notKnown(address);
    }
  }

  #exchange(
    { address, pool }: Peer,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const { clock, tracing } = this.#deps;
    const { headersTimeoutMs, stallTimeoutMs } = this.#options;
    const url = new URL(path, address);
    const context = { upstream: 'peer', host: url.host, kind: 'blob' } as const;
    const limits = { acquireTimeoutMs: headersTimeoutMs, headersTimeoutMs, stallTimeoutMs, clock, context, tracing };
    return exchange(pool, { method: 'GET', url, headers }, limits, signal).catch(async (thrown: unknown) => {
      const error = this.#distrusted(address, asAppError(thrown));
      // A connection that was closed, or a way that is broken, says nothing of the node: its lease still counts.
      if (error.code !== 'UPSTREAM_UNREACHABLE' || signal.aborted || (await this.#isGone(address))) throw error;
      throw new AppError('UPSTREAM_INTERRUPTED', error.message, { cause: error });
    });
  }

  /** What it failed of, where that is no lack of a node but of trust: the node is there, and so is what it leads. */
  #distrusted(address: string, error: AppError): AppError {
    const reason = distrust(error.cause);
    if (reason === undefined) return error;
    const what = reason === 'plain' ? 'not both speak TLS' : "do not accept each other's certificates";
    const message = `${address} and this node ${what}: look at cluster.peer.tls on both`;
    this.#refusals.tell(reason, address, message, error.cause instanceof Error ? error.cause.message : undefined);
    return new AppError('UPSTREAM_UNAUTHORIZED', message, { cause: error });
  }

  #retire({ pool }: Peer): void {
    this.#leaving.add(pool);
    void pool.close().finally(() => this.#leaving.delete(pool));
  }

  #notKnown(address: string): AppError {
    const message = `${address} does not know this node: is cluster.peer.secret the same there?`;
    this.#refusals.tell('signature', address, message);
    return new AppError('UPSTREAM_UNAUTHORIZED', message);
  }

  #peer(address: string): Peer {
    const known = this.#peers.get(address);
    if (known !== undefined) return known;
    const [oldest] = this.#peers;
    if (this.#peers.size >= mostPeers && oldest !== undefined) {
      this.#peers.delete(oldest[0]);
      this.#retire(oldest[1]);
    }
    this.#checkAddress(address);
    const { connections, connectTimeoutMs, secret } = this.#options;
    const pool = new Pool(address, {
      connections,
      pipelining: 1,
      connect: { timeout: connectTimeoutMs, ...this.#tls },
    });
    const peer = { address, pool, signer: secret === undefined ? undefined : new PeerSigner(secret) };
    this.#peers.set(address, peer);
    return peer;
  }

  #checkAddress(address: string): void {
    const { protocol, origin } = URL.parse(address) ?? {};
    const isTls = protocol === 'https:';
    if ((isTls || protocol === 'http:') && origin === address && (isTls || this.#tls?.ca === undefined)) return;
    throw new AppError('UPSTREAM_INVALID', 'the directory names an address that is none for a peer');
  }

  /** Whether nobody listens there any more. That nothing is heard says nothing. */
  #isGone(address: string): Promise<boolean> {
    const { hostname, port, protocol } = new URL(address);
    const usualPort = protocol === 'https:' ? 443 : 80;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = createConnection({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || usualPort) });
    const timer = this.#deps.clock.after(this.#options.connectTimeoutMs, () => resolve(false));
    socket.once('connect', () => resolve(false));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
    return promise.finally(() => {
      timer.clear();
      socket.destroy();
    });
  }
}

/** Whether nodes did not trust each other, as far as the error of a connection tells. */
function distrust(cause: unknown): 'certificate' | 'plain' | undefined {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code)) return 'plain';
  return /CERT|SIGNATURE|ALERT_UNKNOWN_CA/.test(code) ? 'certificate' : undefined;
}

/** What an answer without a body means. */
function refusal(who: string, { status, headers, body }: HttpResponse): AppError {
  body.discard();
  const said = headers[peerHeaders.error];
  // Nothing that concerns what it has: a node of another version, which has no such path, may have the blob all the same.
  if (status === 404 && said === 'BLOB_UNKNOWN') return new AppError('BLOB_UNKNOWN', `${who} does not have it`);
  if (status === 404)
    return new AppError('UPSTREAM_INVALID', `${who} does not speak version ${peerProtocol} of this protocol`);
  const why = typeof said === 'string' ? `: ${said}` : '';
  const retryAfterMs = Number(headers['retry-after'] ?? 0) * 1000;
  const facts = retryAfterMs > 0 ? { retryAfterMs } : {};
  return new AppError(status === 503 ? 'OVERLOADED' : 'UPSTREAM_FAILED', `${who} answered ${status}${why}`, facts);
}
