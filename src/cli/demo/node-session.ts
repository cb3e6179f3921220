import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { manifestMediaTypes } from '../../core/media-types.ts';
import { parseChallenges } from '../../upstream/challenge.ts';
import type { Credentials } from './gatekeeper.ts';

export interface NodeSessionOptions {
  /** `http://host:port` */
  readonly origin: string;
  readonly repository: string;
  readonly credentials?: Credentials | undefined;
  /** Blobs at once, as containerd's `max_concurrent_downloads`. */
  readonly connections: number;
}

/** containerd waits so long for the headers of an answer, and longer for no byte of a body. */
const silenceMs = 30_000;

/** One node's connections to the place it pulls from: its own sockets, its own token. */
export class NodeSession implements Disposable {
  readonly #options: NodeSessionOptions;
  readonly #agent: Agent;
  #token: string | undefined;

  constructor(options: NodeSessionOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connections });
  }

  /** The successful answer, its body unread. Throws on every status but 200, with what the answer said. */
  async open(method: 'GET' | 'HEAD', kind: 'manifests' | 'blobs', reference: string): Promise<IncomingMessage> {
    const { origin, repository } = this.#options;
    const url = new URL(`/v2/${repository}/${kind}/${reference}`, origin);
    let response = await this.#exchange(method, url, this.#token);
    if (response.statusCode === 401 && this.#token === undefined) {
      const challenge = response.headers['www-authenticate'];
      await readText(response);
      this.#token = await this.#fetchToken(challenge);
      response = await this.#exchange(method, url, this.#token);
    }
    if (response.statusCode === 200) return response;
    throw new Error(`answered with ${response.statusCode} ${(await readText(response)).slice(0, 300)}`.trim());
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #fetchToken(header: string | undefined): Promise<string> {
    const challenge = parseChallenges(header).find(({ scheme }) => scheme === 'bearer');
    const { credentials } = this.#options;
    if (challenge === undefined || credentials === undefined) throw new Error('answered with 401: no credentials');
    const url = new URL(challenge.params.get('realm') ?? '');
    for (const name of ['service', 'scope']) url.searchParams.set(name, challenge.params.get(name) ?? '');
    const basic = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
    const response = await this.#send('GET', url, { authorization: `Basic ${basic}` });
    const text = await readText(response);
    if (response.statusCode !== 200) throw new Error(`no token: answered with ${response.statusCode}`);
    return String(JSON.parse(text).token);
  }

  #exchange(method: string, url: URL, token: string | undefined): Promise<IncomingMessage> {
    const accept = url.pathname.includes('/manifests/') ? manifestMediaTypes.join(', ') : '*/*';
    return this.#send(method, url, { accept, ...(token !== undefined && { authorization: `Bearer ${token}` }) });
  }

  #send(method: string, url: URL, headers: OutgoingHttpHeaders): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = request(url, { method, headers, agent: this.#agent, timeout: silenceMs }, resolve);
      sent.on('timeout', () => sent.destroy(new Error(`nothing arrived for ${silenceMs / 1000} s`)));
      sent.on('error', reject);
      sent.end();
    });
  }
}

export async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
