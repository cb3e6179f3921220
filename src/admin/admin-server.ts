import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { asAppError } from '../core/errors.ts';
import { listenOn } from '../core/listen-on.ts';
import { createServer } from '../core/node-http.ts';
import type { Channels } from '../telemetry/channels.ts';
import { readJsonBody } from './json-body.ts';
import { changeRefusalFor, holdsToken, refusalFor } from './request-guard.ts';
import { type AdminRoute, type Answer, errorAnswer, failureAnswer } from './route.ts';
import { RouteTable } from './route-table.ts';

export interface AdminServerDeps {
  readonly channels: Pick<Channels, 'notice'>;
  readonly routes: readonly AdminRoute[];
  /** What whoever changes something has to know; left out: nothing. Where it rejects, nobody changes anything. */
  readonly token?: (() => Promise<string>) | undefined;
}

export interface AdminServerOptions {
  /** A name or an address without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

const maxConnections = 256;
const requestTimeoutMs = 10_000;
const idleTimeoutMs = 30_000;

/**
 * The listener for operators: health, metrics, the admin API and the dashboard. What each path does, its routes say.
 *
 * Invariants: connections, headers, bodies and the time that a request takes to come are bounded. No handler of a change is
 * called for a page of another origin, nor without the token where there is one. Closing waits for nobody: it aborts the
 * signal of every request that is still being answered.
 */
export class AdminServer implements AsyncDisposable {
  readonly #deps: AdminServerDeps;
  readonly #options: AdminServerOptions;
  readonly #routes: RouteTable;
  readonly #server: Server;
  readonly #closing = new AbortController();

  constructor(deps: AdminServerDeps, options: AdminServerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#routes = new RouteTable(deps.routes);
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
  listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    return listenOn(this.#server, 'admin', { host, port });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const left = new AbortController();
    response.once('close', () => left.abort());
    try {
      const signal = AbortSignal.any([left.signal, this.#closing.signal]);
      const answer = await this.#answer(request, signal).catch((error: unknown) => {
        return request.socket.destroyed ? undefined : this.#failed(error);
      });
      if (answer === undefined || response.destroyed) return;
      await send(response, answer, request.method === 'HEAD');
    } catch (error) {
      // The answer has begun: all that can be said of it is that it is not whole.
      response.destroy();
      this.#warn('an admin answer broke off', error);
    }
  }

  async #answer(request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    const { method = '', url = '/', headers } = request;
    const refusal = refusalFor(headers, this.#options.host);
    if (refusal !== undefined) return failureAnswer(403, 'DENIED', refusal);
    const queryAt = url.indexOf('?');
    const path = queryAt < 0 ? url : url.slice(0, queryAt);
    const found = this.#routes.find(method, path);
    if (found.kind === 'none') return failureAnswer(404, 'UNSUPPORTED', 'the admin API has no such path');
    if (found.kind === 'method') {
      const allow = found.allowed.join(', ');
      return failureAnswer(405, 'UNSUPPORTED', `only ${allow} are served here`, { allow });
    }
    const { route, params } = found;
    const query = new URLSearchParams(queryAt < 0 ? '' : url.slice(queryAt + 1));
    const client = (request.socket.remoteAddress ?? 'unknown').replace(/^::ffff:/, '');
    if (route.method === 'GET') return route.handler({ client, headers, params, query, body: undefined, signal });
    const changeRefusal = await this.#changeRefusal(request);
    if (changeRefusal !== undefined) return changeRefusal;
    const body = await readJsonBody(request);
    if ('refusal' in body) return body.refusal;
    return route.handler({ client, headers, params, query, body: body.value, signal });
  }

  async #changeRefusal({ headers }: IncomingMessage): Promise<Answer | undefined> {
    const refusal = changeRefusalFor(headers);
    if (refusal !== undefined) {
      return failureAnswer(refusal.status, refusal.status === 403 ? 'DENIED' : 'UNSUPPORTED', refusal.reason);
    }
    const token = await this.#deps.token?.();
    if (token === undefined || holdsToken(headers.authorization, token)) return undefined;
    const hint = 'send the admin token: Authorization: Bearer TOKEN';
    return failureAnswer(401, 'UNAUTHORIZED', hint, { 'www-authenticate': 'Bearer realm="onepull"' });
  }

  #failed(error: unknown): Answer {
    const known = asAppError(error);
    if (known.code !== 'CANCELLED' && known.status >= 500) this.#warn('an admin request failed', error);
    if (known.code !== 'INTERNAL') return errorAnswer(known);
    return failureAnswer(500, 'UNKNOWN', 'the answer could not be made; the log says more');
  }

  #warn(message: string, error: unknown): void {
    this.#deps.channels.notice.publish({ level: 'warn', message, error });
  }
}

async function send(response: ServerResponse, answer: Answer, isHead: boolean): Promise<void> {
  const always = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
  if ('write' in answer) {
    response.writeHead(answer.status, { ...always, ...answer.headers });
    if (isHead) {
      response.end();
      return;
    }
    // The body may be long in coming.
    response.flushHeaders();
    await answer.write(response);
    return;
  }
  const { status, headers, body } = answer;
  // A 304 would tell the size of what it does not hold (RFC 9110 section 8.6).
  const size = status === 304 ? {} : { 'content-length': Buffer.byteLength(body) };
  response.writeHead(status, { ...always, ...headers, ...size });
  response.end(isHead || status === 304 ? undefined : body);
}
