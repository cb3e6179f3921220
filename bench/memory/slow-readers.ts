import { connect, type Socket } from 'node:net';

export interface SlowReadersRequest {
  /** `http://host:port` */
  readonly origin: string;
  readonly path: string;
  readonly readers: number;
  /** What each of them takes in a second. */
  readonly bytesPerSecond: number;
}

export interface SlowReadersState {
  /** That have had their head, a 200. */
  readonly answered: number;
  readonly bytes: number;
  /** What the slowest of those that were answered has had. */
  readonly leastBytes: number;
  readonly failed: number;
  readonly errors: readonly string[];
}

interface Reader {
  readonly socket: Socket;
  bytes: number;
  isAnswered: boolean;
  isOver: boolean;
}

const readBytes = 16 * 1024;
/** One for all: what a reader takes is counted, not kept. */
const received = Buffer.allocUnsafeSlow(readBytes);
const ticksPerSecond = 20;
const openedPerTick = 50;

/**
 * Clients that take a body slowly: each reads one piece, and then nothing until its next turn, so that what it has not
 * taken waits in the system's buffers and in the server. They are opened some at a time, and stay until they are disposed of.
 */
export class SlowReaders implements Disposable {
  readonly #request: SlowReadersRequest;
  readonly #readers: Reader[] = [];
  readonly #errors = new Set<string>();
  #failed = 0;
  #next = 0;
  #owed = 0;
  #tickedMs: number = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor(request: SlowReadersRequest) {
    this.#request = request;
    this.#timer = setInterval(() => this.#tick(), 1000 / ticksPerSecond);
  }

  state(): SlowReadersState {
    const answered = this.#readers.filter(({ isAnswered }) => isAnswered);
    return {
      answered: answered.length,
      bytes: answered.reduce((sum, { bytes }) => sum + bytes, 0),
      leastBytes: answered.reduce((least, { bytes }) => Math.min(least, bytes), Number.POSITIVE_INFINITY),
      failed: this.#failed,
      errors: [...this.#errors].slice(0, 5),
    };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const reader of this.#readers) {
      reader.isOver = true;
      reader.socket.destroy();
    }
  }

  /** Some more readers are opened, and whoever's turn it is takes one piece. */
  #tick(): void {
    const { readers, bytesPerSecond } = this.#request;
    for (let n = 0; n < openedPerTick && this.#readers.length < readers; n++) this.#open();
    // By the clock: on a machine without time for it a tick comes late.
    const nowMs = performance.now();
    this.#owed += ((nowMs - this.#tickedMs) / 1000) * ((this.#readers.length * bytesPerSecond) / readBytes);
    this.#tickedMs = nowMs;
    for (; this.#owed >= 1; this.#owed--) {
      this.#next = (this.#next + 1) % this.#readers.length;
      this.#readers[this.#next]?.socket.resume();
    }
  }

  #open(): void {
    const { hostname, port, host } = new URL(this.#request.origin);
    const callback = (bytes: number): boolean => {
      // A status line is the first thing that comes, in one piece.
      if (!reader.isAnswered) this.#head(reader, received.toString('latin1', 0, 12));
      reader.bytes += bytes;
      // Nothing more until its next turn.
      return false;
    };
    const socket = connect({ host: hostname, port: Number(port), onread: { buffer: received, callback } });
    const reader: Reader = { socket, bytes: 0, isAnswered: false, isOver: false };
    this.#readers.push(reader);
    socket.on('error', (error) => this.#fail(reader, error.message));
    socket.on('close', () => this.#fail(reader, 'the connection was closed'));
    socket.write(`GET ${this.#request.path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
  }

  #head(reader: Reader, statusLine: string): void {
    if (statusLine === 'HTTP/1.1 200') reader.isAnswered = true;
    else this.#fail(reader, statusLine);
  }

  #fail(reader: Reader, why: string): void {
    if (reader.isOver) return;
    reader.isOver = true;
    this.#failed++;
    this.#errors.add(why);
    reader.socket.destroy();
  }
}
