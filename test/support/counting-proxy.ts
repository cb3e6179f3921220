import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { LoopbackServer } from '../../src/cli/demo/loopback-server.ts';
import { routeOf } from '../../src/cli/demo/route.ts';
import { type BodyRecord, Tally } from '../../src/cli/demo/tally.ts';

/**
 * Stands in front of a real registry and counts what it is asked and what it sends, as DemoRegistry does for itself.
 * Transparent: headers go through in both directions as they are (Host too, so that the registry's own URLs lead back
 * here), a connection cut on one side is cut on the other.
 */
export class CountingProxy implements AsyncDisposable {
  readonly tally: Tally = new Tally();
  readonly #target: string;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #server: LoopbackServer;

  private constructor(target: string) {
    this.#target = target;
    this.#server = new LoopbackServer((incoming, response) => this.#forward(incoming, response));
  }

  /** `target` as `http://host:port`. */
  static async start(target: string): Promise<CountingProxy> {
    const proxy = new CountingProxy(target);
    await proxy.#server.open();
    return proxy;
  }

  /** `127.0.0.1:<port>` */
  get host(): string {
    return this.#server.host;
  }

  /** `http://127.0.0.1:<port>` */
  get url(): string {
    return `http://${this.#server.host}`;
  }

  /** Refuses connections until `comeBack`, as if the registry were down. */
  goAway(): Promise<void> {
    return this.#server.shut();
  }

  comeBack(): Promise<void> {
    return this.#server.open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    this.#agent.destroy();
  }

  #forward(incoming: IncomingMessage, response: ServerResponse): void {
    const { kind, repository, reference } = routeOf(incoming.url ?? '/');
    const method = incoming.method ?? 'GET';
    const record = { kind, method, repository, reference, headers: incoming.headers, status: 0 };
    this.tally.request(record);
    const headers = incoming.rawHeaders;
    const outgoing = request(new URL(incoming.url ?? '/', this.#target), { method, headers, agent: this.#agent });
    outgoing.once('error', () => response.destroy());
    response.once('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
    outgoing.once('response', (answer) => {
      this.tally.answered(record, answer.statusCode ?? 0);
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.once('error', () => response.destroy());
      const body = this.#bodyOf(method, reference, answer);
      if (body !== undefined) {
        answer.on('data', (chunk: Buffer) => this.tally.bodySent(body, chunk.length));
        response.once('close', () => this.tally.bodyEnded(body, answer.readableEnded ? 'complete' : 'cut'));
      }
      answer.pipe(response);
    });
  }

  #bodyOf(method: string, reference: string, answer: IncomingMessage): BodyRecord | undefined {
    const isContent = method === 'GET' && (answer.statusCode === 200 || answer.statusCode === 206);
    const digest = routeOf(`/v2/x/blobs/${answer.headers['docker-content-digest'] ?? reference}`).digest;
    const start = Number(/^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '')?.[1] ?? 0);
    return isContent && digest !== undefined ? this.tally.bodyStarted(digest, start) : undefined;
  }
}
