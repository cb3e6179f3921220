import { connect, type Socket } from 'node:net';

/** Where a body goes. The bytes are valid during the call only. */
export type Sink = (bytes: Uint8Array) => void;

export interface LeanAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly bodyBytes: number;
}

interface Exchange {
  readonly method: string;
  readonly sink: Sink;
  readonly answered: PromiseWithResolvers<LeanAnswer>;
}

const receiveBytes = 256 * 1024;
const mostHeadBytes = 16 * 1024;
/** One for all sockets of the process: a read and its callback are one step of the event loop. */
const received = Buffer.allocUnsafeSlow(receiveBytes);

/**
 * One keep-alive HTTP/1.1 connection that costs its process as little as possible: no allocation per read, and a body is
 * counted, not kept. Takes what registries send for content (a status line, headers, a body of Content-Length) and
 * nothing else. One request at a time; a body that breaks off rejects.
 */
export class LeanConnection implements Disposable {
  readonly #host: string;
  readonly #socket: Socket;
  #exchange: Exchange | undefined;
  #head = '';
  #answer: { status: number; headers: Map<string, string>; bodyBytes: number } | undefined;
  #leftBytes = 0;
  #failure: Error | undefined;

  /** `origin` as `http://host:port`. */
  constructor(origin: string) {
    const { hostname, port, host } = new URL(origin);
    this.#host = host;
    const onread = { buffer: received, callback: (bytes: number) => this.#receive(bytes) };
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true, onread });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the connection closed before the answer was complete')));
  }

  request(method: string, path: string, headers: Readonly<Record<string, string>>, sink: Sink): Promise<LeanAnswer> {
    const answered = Promise.withResolvers<LeanAnswer>();
    if (this.#failure !== undefined) answered.reject(this.#failure);
    else {
      this.#exchange = { method, sink, answered };
      const lines = Object.entries({ host: this.#host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
      this.#socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    }
    return answered.promise;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #receive(bytes: number): boolean {
    try {
      const bodyStart = this.#answer === undefined ? this.#takeHead(bytes) : 0;
      if (bodyStart < bytes) this.#takeBody(received.subarray(bodyStart, bytes));
      if (this.#answer !== undefined && this.#leftBytes === 0) this.#finish(this.#answer);
    } catch (error) {
      this.#fail(error as Error);
      this.#socket.destroy();
    }
    return true;
  }

  /** Returns where in the received bytes the body begins. */
  #takeHead(bytes: number): number {
    const before = this.#head.length;
    // A body that came along is no text: to make it one would cost more than to receive it.
    this.#head += received.toString('latin1', 0, Math.min(bytes, mostHeadBytes - before));
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0 && this.#head.length >= mostHeadBytes) throw new Error('the head does not end');
    if (end < 0) return bytes;
    const [statusLine = '', ...lines] = this.#head.slice(0, end).split('\r\n');
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const length = headers.get('content-length');
    if (length === undefined && this.#exchange?.method !== 'HEAD') throw new Error(`no Content-Length: ${statusLine}`);
    this.#answer = { status: Number(statusLine.split(' ')[1]), headers, bodyBytes: 0 };
    this.#leftBytes = this.#exchange?.method === 'HEAD' ? 0 : Number(length);
    this.#head = '';
    return end + 4 - before;
  }

  #takeBody(bytes: Uint8Array): void {
    if (this.#answer === undefined || bytes.length > this.#leftBytes) throw new Error('more bytes than announced');
    this.#leftBytes -= bytes.length;
    this.#answer.bodyBytes += bytes.length;
    this.#exchange?.sink(bytes);
  }

  #finish(answer: LeanAnswer): void {
    const exchange = this.#exchange;
    this.#answer = undefined;
    this.#exchange = undefined;
    if (answer.headers.get('connection') === 'close') this.#fail(new Error('the server closed the connection'));
    exchange?.answered.resolve(answer);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#exchange?.answered.reject(this.#failure);
    this.#exchange = undefined;
  }
}
