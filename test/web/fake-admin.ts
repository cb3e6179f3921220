import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { type StateDocument, type StateParts, stateDocument } from '../../src/admin/state-document.ts';
import type { SettingValue } from '../../src/clients/registries.ts';
import { type Members, patchBetween } from '../../src/core/merge-patch.ts';
import type { ImageSnapshot } from '../../src/pull/image-snapshot.ts';
import type { PreheatSnapshot } from '../../src/pull/preheat/preheat-snapshot.ts';
import type { Gate } from '../support/gate.ts';
import { preheat, preheatImage } from './states.ts';
import { pagesFolder } from './viewer.ts';

/** As strict as the real one. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'";
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/**
 * An admin listener that says what a test wants it to say: states that no real run can be brought to hold still in. Everything
 * that can be had of a real instance is tested with one.
 */
export class FakeAdmin implements AsyncDisposable {
  readonly #server: Server;
  readonly #viewers = new Set<ServerResponse>();
  readonly #timer: NodeJS.Timeout;
  #state: StateParts;
  images: ImageSnapshot[] = [];
  /** Where those wait who ask for the settings. */
  settingsGate: Gate | undefined;
  /** Why the settings are not told. */
  settingsRefusal: string | undefined;
  /** What changing calls have to know; undefined: nothing. */
  token: string | undefined;
  readonly changes: string[] = [];
  /** As if the line to whoever watches were cut: nobody hears of it. */
  isSilent = false;
  /** Streams of events that began so far. */
  streams = 0;
  /** What a preheat is refused with; undefined: it is not. */
  refusal: { readonly status: number; readonly message: string; readonly where?: string } | undefined;

  private constructor(state: StateParts) {
    this.#state = state;
    this.#server = createServer((request, response) => void this.#handle(request, response));
    // As the real one, which tells a point of its history that often.
    this.#timer = setInterval(() => this.tell({}), 5000);
  }

  static async start(state: StateParts, port = 0): Promise<FakeAdmin> {
    const fake = new FakeAdmin(state);
    fake.#server.listen(port, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Tells every viewer what is new. A pull replaces the one with its id; of the rest what is given replaces what was so. */
  tell({ pulls = [], ...rest }: Partial<StateParts>): void {
    const before = stateDocument(this.#state);
    const known = new Map([...this.#state.pulls, ...pulls].map((pull) => [pull.id, pull]));
    this.#state = { ...this.#state, ...rest, pulls: [...known.values()] };
    const change = patchBetween(membersOf(before), membersOf(stateDocument(this.#state))) ?? {};
    if (this.isSilent) return;
    for (const viewer of this.#viewers) send(viewer, 'change', change);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    if (url.pathname === '/api/v1/events') return this.#follow(response);
    if (url.pathname === '/api/v1/images' && request.method === 'GET') return json(response, 200, this.#page(url));
    if (url.pathname === '/api/v1/settings') return this.#tellSettings(response);
    if (request.method !== 'GET') return this.#change(request, url, response);
    if (url.pathname === '/healthz') return json(response, 200, { status: 'alive' });
    await sendFile(response, url.pathname);
  }

  #follow(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    this.streams++;
    send(response, 'state', stateDocument(this.#state));
    this.#viewers.add(response);
    response.once('close', () => this.#viewers.delete(response));
  }

  async #tellSettings(response: ServerResponse): Promise<void> {
    await this.settingsGate?.arrive();
    const message = this.settingsRefusal;
    if (message !== undefined) return json(response, 503, { errors: [{ code: 'UNAVAILABLE', message, detail: {} }] });
    const settings = this.#state.upstreams.flatMap(({ name }): SettingValue[] => [
      { path: `upstreams.${name}.url`, value: `https://${name}` },
      { path: `upstreams.${name}.default`, value: name === 'docker.io' },
    ]);
    json(response, 200, { settings });
  }

  #page({ searchParams }: URL): unknown {
    const search = searchParams.get('search') ?? '';
    const found = this.images.filter(({ image }) => image.includes(search));
    if (searchParams.get('sort') === 'size') found.sort((a, b) => b.sizeBytes - a.sizeBytes);
    if (searchParams.get('sort') === 'name') found.sort((a, b) => a.image.localeCompare(b.image));
    const start = Number(searchParams.get('after') ?? 0);
    const end = start + Number(searchParams.get('limit') ?? 50);
    return {
      images: found.slice(start, end),
      total: found.length,
      ...(end < found.length ? { after: String(end) } : {}),
    };
  }

  #change(request: IncomingMessage, { pathname, searchParams }: URL, response: ServerResponse): void | Promise<void> {
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      request.resume();
      return json(response, 401, {
        errors: [{ code: 'UNAUTHORIZED', message: 'the admin token is missing', detail: {} }],
      });
    }
    const image = searchParams.get('image') ?? '';
    if (pathname.startsWith('/api/v1/preheats')) return this.#preheat(request, pathname, response);
    request.resume();
    this.changes.push(`${request.method} ${pathname} ${image}`);
    if (pathname === '/api/v1/pins') {
      const isPinned = request.method === 'PUT';
      this.images = this.images.map((known) => (known.image === image ? { ...known, isPinned } : known));
      return json(response, 200, { image, isPinned });
    }
    const removed = this.images.filter((known) => known.image === image);
    this.images = this.images.filter((known) => known.image !== image);
    const names = removed.map((known) => known.image);
    return json(response, 200, { removed: names, blobs: 1, freedBytes: removed[0]?.storedBytes ?? 0, following: [] });
  }

  /** Starts one whose images wait, or cancels one. */
  async #preheat(request: IncomingMessage, pathname: string, response: ServerResponse): Promise<void> {
    const asked = JSON.parse(Buffer.concat(await request.toArray()).toString());
    this.changes.push(`${request.method} ${pathname} ${JSON.stringify(asked)}`);
    if (this.refusal !== undefined) {
      const { status, message, where } = this.refusal;
      return json(response, status, { errors: [{ code: 'UNSUPPORTED', message, detail: { where } }] });
    }
    const { preheats } = this.#state;
    const id = pathname.slice('/api/v1/preheats/'.length);
    const known = preheats.find((one) => one.id === id);
    const images = (asked.images ?? []).map((name: string) => preheatImage(`docker.io/library/${name}`, 'waiting', 0));
    const changed: PreheatSnapshot =
      known === undefined
        ? preheat(`new-${preheats.length}`, 'running', images, { startedAtMs: Date.now() })
        : { ...known, state: 'cancelled' };
    this.tell({ preheats: [changed, ...preheats.filter((one) => one !== known)] });
    json(response, known === undefined ? 202 : 200, changed);
  }
}

function membersOf(document: StateDocument): Members {
  return { ...document };
}

function send(viewer: ServerResponse, event: 'state' | 'change', data: object): void {
  viewer.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(JSON.stringify(value));
}

async function sendFile(response: ServerResponse, path: string): Promise<void> {
  const name = path === '/' ? 'index.html' : normalize(path).replace(/^\/+/, '');
  try {
    const body = await readFile(join(pagesFolder, name));
    const type = types[extname(name)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'content-security-policy': policy }).end(body);
  } catch {
    response.writeHead(404).end();
  }
}
