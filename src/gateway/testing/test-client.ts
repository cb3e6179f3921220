import assert from 'node:assert/strict';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The response came to its proper end. */
  readonly complete: boolean;
}

/** A response that is being read: what has come so far, and waits for more. */
export class OpenAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly response: IncomingMessage;
  readonly over: Promise<boolean>;
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #wake: (() => void) | undefined;

  constructor(response: IncomingMessage) {
    this.response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    this.over = new Promise((resolve) => {
      response.on('error', () => {});
      response.on('close', () => {
        resolve(response.complete);
        this.#wake?.();
      });
    });
  }

  /** Begins to read. A client that does not call it takes nothing beyond what the kernels buffer. */
  read(): this {
    this.response.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#wake?.();
    });
    return this;
  }

  get body(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Resolves once `length` bytes of the body are here. */
  async has(length: number): Promise<void> {
    while (this.#length < length) {
      if (this.response.closed) throw new Error(`the body ended at ${this.#length} of ${length}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  leave(): void {
    this.response.destroy();
  }
}

export interface ClientOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly agent?: Agent;
  readonly body?: Buffer;
}

/** Sends a request; resolves with its response as soon as the headers are here. */
export function open(port: number, path: string, options: ClientOptions = {}): Promise<OpenAnswer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, agent, body } = options;
    const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: agent ?? false }, (response) =>
      resolve(new OpenAnswer(response)),
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Sends a request and reads the whole response. */
export async function ask(port: number, path: string, options: ClientOptions = {}): Promise<Answer> {
  const answer = (await open(port, path, options)).read();
  const complete = await answer.over;
  return { status: answer.status, headers: answer.headers, body: answer.body, complete };
}

export function keepAliveAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 });
}

/** Asks with GET and HEAD on one kept connection; checks that HEAD says the same and has no body. */
export async function askBoth(port: number, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const agent = keepAliveAgent();
  const get = await ask(port, path, { headers, agent });
  const head = await ask(port, path, { headers, agent, method: 'HEAD' });
  agent.destroy();
  assert.equal(head.body.length, 0);
  assert.equal(head.status, get.status);
  assert.deepEqual({ ...head.headers, date: '' }, { ...get.headers, date: '' });
  assert.equal(get.headers['docker-distribution-api-version'], 'registry/2.0');
  assert.equal(get.headers['content-length'], String(get.body.length));
  assert.equal(get.headers['transfer-encoding'], undefined);
  assert.equal(get.headers.connection, 'keep-alive');
  return get;
}

/** A TCP connection and all that came over it. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<{ readonly text: string; readonly reset: boolean }>;
  #text = '';
  #wake: (() => void) | undefined;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    let reset = false;
    this.socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      this.#wake?.();
    });
    this.socket.on('error', () => {
      reset = true;
    });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.#wake?.();
        resolve({ text: this.#text, reset });
      });
    });
  }

  get text(): string {
    return this.#text;
  }

  send(text: string | Buffer): this {
    this.socket.write(text);
    return this;
  }

  /** Resolves once `pattern` has been received. */
  async received(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#text)) {
      if (this.socket.closed) throw new Error(`closed without ${pattern}: ${this.#text}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Sends bytes on a connection of their own; resolves with all that came until it was closed. */
export async function sendRaw(port: number, text: string | Buffer): Promise<string> {
  return (await new RawClient(port).send(text).closed).text;
}
