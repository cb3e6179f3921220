import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { readAll } from './registry-session.ts';

export interface AskedAdmin {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

export interface ScriptedAnswer {
  readonly status?: number;
  readonly json?: unknown;
  /** Instead of `json`. */
  readonly text?: string;
}

export type Script = (asked: AskedAdmin) => ScriptedAnswer | Promise<ScriptedAnswer>;

/** An admin API that says what a test tells it to, and remembers what it was asked. */
export class ScriptedAdmin implements AsyncDisposable {
  /** By method and path: `GET /api/v1/status`. */
  readonly scripts = new Map<string, Script>();
  readonly asked: AskedAdmin[] = [];
  readonly #viewers = new Set<ServerResponse>();
  readonly #server: Server;
  #viewed: PromiseWithResolvers<void> = Promise.withResolvers();
  #port = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  /** `version` is what it says to be. */
  static async start(answers: Readonly<Record<string, unknown>> = {}, version = '0.1.0'): Promise<ScriptedAdmin> {
    const admin = new ScriptedAdmin();
    admin.says('GET /api/v1/version', { version, node: process.versions.node });
    for (const [what, json] of Object.entries(answers)) admin.says(what, json);
    await admin.open();
    return admin;
  }

  /** `host:port` */
  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  says(what: string, json: unknown, status = 200): void {
    this.scripts.set(what, () => ({ status, json }));
  }

  refuses(what: string, status: number, code: string, message: string): void {
    this.says(what, { errors: [{ code, message, detail: {} }] }, status);
  }

  /** Resolves once somebody watches the events. */
  get viewed(): Promise<void> {
    return this.#viewed.promise;
  }

  /** To all who watch. */
  event(event: string, data: unknown): void {
    for (const viewer of this.#viewers) viewer.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Listens, at the port that it had before if it had one. */
  async open(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  /** Cuts everybody off, until it is opened again. */
  async shut(): Promise<void> {
    this.#viewed = Promise.withResolvers();
    this.#viewers.clear();
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.shut();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const text = (await readAll(request)).toString();
    const asked = { method, path: url, headers, body: text === '' ? undefined : JSON.parse(text) };
    this.asked.push(asked);
    const path = url.split('?', 1)[0] ?? '';
    if (path === '/api/v1/events') return this.#view(response);
    const missing: ScriptedAnswer = {
      status: 404,
      json: { errors: [{ code: 'UNSUPPORTED', message: 'the admin API has no such path' }] },
    };
    const { status = 200, json, text: plain } = (await this.scripts.get(`${method} ${path}`)?.(asked)) ?? missing;
    response.writeHead(status, { 'content-type': plain === undefined ? 'application/json' : 'text/html' });
    response.end(plain ?? JSON.stringify(json));
  }

  #view(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    this.#viewers.add(response);
    response.once('close', () => this.#viewers.delete(response));
    this.#viewed.resolve();
  }
}
