import { type Agent, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import type { Credentials } from '../../src/cli/demo/gatekeeper.ts';

export interface Call {
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal;
}

export interface SessionOptions {
  readonly credentials?: Credentials | undefined;
  /**
   * A request on a kept connection that closes before a byte of its answer is sent again, as Go's client and others do
   * (RFC 9112 section 9.3.1): the server may have closed it just then. Off where a test wants to see it.
   */
  readonly isForgiving?: boolean | undefined;
}

const maxRedirects = 5;

/**
 * Talks to one registry as clients do: answers a Basic or Bearer challenge once, keeps the token for its repository,
 * follows redirects of GET and HEAD without taking Authorization along.
 */
export class RegistrySession {
  readonly #origin: string;
  readonly #agent: Agent;
  readonly #credentials: Credentials | undefined;
  readonly #isForgiving: boolean;
  readonly #authorization = new Map<string, string>();

  /** `origin` as `http://host:port`. */
  constructor(deps: { agent: Agent }, origin: string, options: SessionOptions = {}) {
    this.#origin = origin;
    this.#agent = deps.agent;
    this.#credentials = options.credentials;
    this.#isForgiving = options.isForgiving ?? false;
  }

  /** The response, its body unread. Whatever its status is: only a broken connection throws. */
  async open(method: string, path: string, call: Call = {}): Promise<IncomingMessage> {
    const url = new URL(path, this.#origin);
    const key = /^\/v2\/(.*)\/(?:manifests|blobs|tags|referrers)\//.exec(url.pathname)?.[1] ?? '';
    const known = this.#authorization.get(key);
    let response = await this.#exchange(method, url, known, call);
    const challenge = response.headers['www-authenticate'];
    if (response.statusCode === 401 && challenge !== undefined) {
      const authorization = await this.#authorize(challenge, call.signal);
      if (authorization !== undefined) {
        await readAll(response);
        this.#authorization.set(key, authorization);
        response = await this.#exchange(method, url, authorization, call);
      }
    }
    return this.#followed(method, url, response, call);
  }

  async #followed(method: string, from: URL, first: IncomingMessage, call: Call): Promise<IncomingMessage> {
    let [response, url] = [first, from];
    for (let n = 0; n < maxRedirects && isRedirect(method, response); n++) {
      await readAll(response);
      url = new URL(response.headers.location ?? '', url);
      response = await this.#exchange(method, url, undefined, call);
    }
    return response;
  }

  async #authorize(challenge: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    const basic =
      this.#credentials &&
      `Basic ${Buffer.from(`${this.#credentials.username}:${this.#credentials.password}`).toString('base64')}`;
    if (!/^bearer /i.test(challenge)) return basic;
    const parameters = new Map([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    const url = new URL(parameters.get('realm') ?? '');
    url.searchParams.set('service', parameters.get('service') ?? '');
    const scope = parameters.get('scope');
    if (scope !== undefined) url.searchParams.set('scope', scope);
    const response = await this.#exchange('GET', url, basic, signal === undefined ? {} : { signal });
    const body = await readAll(response);
    return response.statusCode === 200 ? `Bearer ${JSON.parse(body.toString()).token}` : undefined;
  }

  #exchange(method: string, url: URL, authorization: string | undefined, call: Call): Promise<IncomingMessage> {
    const headers: OutgoingHttpHeaders = { ...call.headers };
    if (authorization !== undefined) headers.authorization = authorization;
    if (call.body !== undefined) headers['content-length'] = call.body.length;
    const options = { method, headers, agent: this.#agent, ...(call.signal && { signal: call.signal }) };
    return new Promise((resolve, reject) => {
      let isAnswered = false;
      const sent = request(url, options, (response) => {
        isAnswered = true;
        resolve(response);
      });
      sent.on('error', (error) => {
        const isCut = 'code' in error && error.code === 'ECONNRESET' && !call.signal?.aborted;
        const wasStale = isCut && sent.reusedSocket && !isAnswered;
        if (this.#isForgiving && wasStale) this.#exchange(method, url, authorization, call).then(resolve, reject);
        else reject(error);
      });
      sent.end(call.body);
    });
  }
}

/** The whole body; throws where it is cut short. */
export async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function isRedirect(method: string, response: IncomingMessage): boolean {
  const status = response.statusCode ?? 0;
  return status >= 301 && status <= 308 && response.headers.location !== undefined && ['GET', 'HEAD'].includes(method);
}
