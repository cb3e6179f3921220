import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { listenFailure } from '../core/listen-failure.ts';
import { createServer } from '../core/node-http.ts';
import type { FlightSnapshot } from '../flights/flight-snapshot.ts';
import type { ClusterSnapshot } from '../pull/cluster-snapshot.ts';
import type { PullSnapshot } from '../pull/pull-board.ts';
import type { Channels } from '../telemetry/channels.ts';
import type { UpstreamSnapshot } from '../upstream/upstream-snapshot.ts';
import { refusalFor } from './request-guard.ts';

/** What the admin API shows. Functions give plain data, without waiting for anything but a look at the disk. */
export interface AdminDeps {
  readonly channels: Pick<Channels, 'notice'>;
  /** Why requests should not come here now, in words; empty: ready. */
  readiness(): readonly string[];
  /** What is wrong although requests may come, in words: onepull serves what it can. */
  warnings(): readonly string[];
  flights(): readonly FlightSnapshot[];
  pulls(): readonly PullSnapshot[] | Promise<readonly PullSnapshot[]>;
  upstreams(): readonly UpstreamSnapshot[];
  /** Undefined: this node is alone. */
  cluster?(): ClusterSnapshot | undefined;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

export interface AdminOptions {
  /** A name or an address without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly version: string;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

type Route = () => Answer | Promise<Answer>;

const maxConnections = 256;
const requestTimeoutMs = 10_000;
const idleTimeoutMs = 30_000;

/** Health, metrics and the admin API: read-only, bounded, never cached. */
export class AdminServer implements AsyncDisposable {
  readonly #deps: AdminDeps;
  readonly #options: AdminOptions;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #server: Server;

  constructor(deps: AdminDeps, options: AdminOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#routes = routes(deps, options);
    this.#server = createServer(
      { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs, maxHeaderSize: 8192 },
      (request, response) => void this.#handle(request, response),
    );
    this.#server.maxConnections = maxConnections;
    this.#server.timeout = idleTimeoutMs;
    // Without a listener, a failed accept (out of descriptors) would end the process.
    this.#server.on('error', (error) => {
      if (this.#server.listening) this.#warn('the admin listener failed', error);
    });
  }

  /** Starts listening; returns where. Rejects with LISTEN_FAILED. */
  async listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    try {
      this.#server.listen({ host, port });
      await once(this.#server, 'listening');
    } catch (cause) {
      throw listenFailure('admin', { host, port }, cause);
    }
    const address = this.#server.address();
    return { host, port: typeof address === 'object' && address !== null ? address.port : port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#answer(request).catch((error: unknown) => {
      this.#warn('an admin request failed', error);
      return failure(500, 'UNKNOWN', 'the answer could not be made; the log says more');
    });
    response.writeHead(answer.status, {
      'content-type': answer.contentType,
      'content-length': Buffer.byteLength(answer.body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(answer.status === 405 ? { allow: 'GET, HEAD' } : {}),
    });
    response.end(request.method === 'HEAD' ? undefined : answer.body);
  }

  async #answer({ method, url = '/', headers }: IncomingMessage): Promise<Answer> {
    const refusal = refusalFor(headers, this.#options.host);
    if (refusal !== undefined) return failure(403, 'DENIED', refusal);
    const route = this.#routes.get(url.split('?', 1)[0] ?? '/');
    if (route === undefined) return failure(404, 'UNSUPPORTED', 'the admin API has no such path');
    if (method !== 'GET' && method !== 'HEAD') return failure(405, 'UNSUPPORTED', 'only GET and HEAD are served here');
    return await route();
  }

  #warn(message: string, error: unknown): void {
    this.#deps.channels.notice.publish({ level: 'warn', message, error });
  }
}

function routes(
  { readiness, warnings, flights, pulls, upstreams, cluster, metrics }: AdminDeps,
  { version }: AdminOptions,
): Map<string, Route> {
  return new Map<string, Route>([
    ['/healthz', () => json(200, { status: 'alive' })],
    [
      '/readyz',
      () => {
        const reasons = readiness();
        const wrong = warnings();
        const also = wrong.length === 0 ? {} : { warnings: wrong };
        return reasons.length === 0
          ? json(200, { status: 'ready', ...also })
          : json(503, { status: 'not ready', reasons, ...also });
      },
    ],
    ['/metrics', async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() })],
    ['/api/v1/flights', () => json(200, { flights: flights() })],
    ['/api/v1/pulls', async () => json(200, { pulls: await pulls() })],
    ['/api/v1/upstreams', () => json(200, { upstreams: upstreams() })],
    ['/api/v1/cluster', () => json(200, { cluster: cluster?.() ?? null })],
    ['/api/v1/version', () => json(200, { version, node: process.versions.node })],
  ]);
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}

/** In the form of the OCI distribution API's errors (distribution-spec, "Error Codes"). */
function failure(status: number, code: string, message: string): Answer {
  return json(status, { errors: [{ code, message, detail: {} }] });
}
