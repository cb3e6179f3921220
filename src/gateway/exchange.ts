import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, Timer } from '../core/clock.ts';
import { AppError, asAppError, type ErrorCode } from '../core/errors.ts';
import type { Scope } from '../core/scope.ts';
import { type RequestTrace, traceRequest } from '../core/tracing.ts';
import type { Served } from '../pull/depot.ts';
import type { Channels, RequestEvent, RequestTally } from '../telemetry/channels.ts';
import type { ClientPace } from './client-pace.ts';
import type { JudgedHead } from './hits/judged-heads.ts';
import type { QueuedBytes } from './queued-bytes.ts';
import { discardBody, hasBody } from './request-body.ts';
import { originFormOf } from './route.ts';
import { StallTimer } from './stall-timer.ts';
import { wireErrorOf } from './wire-errors.ts';

export interface ExchangeDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly tally: RequestTally;
  readonly random: () => number;
  readonly queued: QueuedBytes;
  /** Whether connections are to be closed after the response. */
  closing(): boolean;
}

export interface ExchangeParts {
  readonly id: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly client: string;
  readonly pace: ClientPace;
  /** The response has closed. */
  closed(): void;
}

export interface ExchangeOptions {
  readonly headerTimeoutMs: number;
  readonly clientTimeoutMs: number;
  /** One of so many requests is traced, besides those whose client traces them. Undefined: none are. */
  readonly traceOneIn?: number | undefined;
}

/** What a response of known bytes is handed to the socket in: what the client's patience is measured by. */
const sliceBytes = 256 * 1024;
/** Sent bytes are counted whenever so many more have gone out, and at the end. */
const countEveryBytes = 1024 * 1024;
/** After the header timeout a client may come back soon: the pull goes on meanwhile. */
const headerRetryAfterMs = 5_000;
/** What is logged for a client that left before it had an answer; never sent. */
const clientLeftStatus = 499;

const ignored = () => {};

/**
 * One request and its response, from its turn on the connection to the close.
 *
 * Invariants: `begin` is called at most once; after it an error can only cut the connection, before it every error is
 * rendered. `signal` aborts when the client leaves, and with HEADER_TIMEOUT when the headers are due and nobody has taken
 * over with `whenHeadersDue`. The `request` event is published once, when the response has closed, whatever happened;
 * then no timer is left and nothing is held.
 */
export class Exchange {
  readonly id: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly client: string;
  /** How quickly the client takes what it is sent, on this connection. */
  readonly pace: ClientPace;
  readonly head: boolean;
  /** It goes through a socket that encrypts, and so copies, what it is handed. */
  readonly isSecure: boolean;
  /** Where a trace tells of it. */
  readonly trace: RequestTrace | undefined;

  /** What the handlers find out, for the event. */
  route: RequestEvent['route'] = 'other';
  scope: Scope | undefined;
  reference: string | undefined;
  served: Served | undefined;

  /** The bytes that it was asked with, where the same bytes ask the same again. */
  text: string | undefined;
  /** What was asked, where the answer may be remembered. */
  judged: Pick<JudgedHead, 'route' | 'ask' | 'noted'> | undefined;

  /** Whether it was let in: it counts among the answers under way until it is over. */
  admitted = false;

  readonly #deps: ExchangeDeps;
  readonly #options: ExchangeOptions;
  /** Made for whoever asks for the signal. */
  #controller: AbortController | undefined;
  #aborted: AppError | undefined;
  /** Made for the first write that the kernel does not take at once. */
  #stall: StallTimer | undefined;
  readonly #closed: () => void;
  readonly #arrivedMs: number;
  #headerTimer: Timer | undefined;
  #onHeadersDue: (() => void) | undefined;
  #status: number | undefined;
  #errorCode: ErrorCode | undefined;
  #firstByteMs: number | undefined;
  #bytes = 0;
  #countedBytes = 0;
  #copiedBytes = 0;
  #handedBytes = 0;
  #letGo: (() => void) | undefined;
  #taken: ((error?: Error | null) => void) | undefined;
  #complete = false;
  #left = false;
  #over = false;

  constructor(deps: ExchangeDeps, options: ExchangeOptions, parts: ExchangeParts) {
    this.#deps = deps;
    this.#options = options;
    this.id = parts.id;
    this.request = parts.request;
    this.response = parts.response;
    this.client = parts.client;
    this.pace = parts.pace;
    this.head = parts.request.method === 'HEAD';
    this.isSecure = 'encrypted' in parts.request.socket;
    this.#closed = () => parts.closed();
    this.#arrivedMs = deps.clock.monotonic();
    this.trace = options.traceOneIn === undefined ? undefined : this.#beginTrace(options.traceOneIn);
    this.response.on('finish', () => this.#finished());
    this.response.on('close', () => this.close());
    // A write to a response whose client is gone says so here as well; the close tells us all.
    this.response.on('error', ignored);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
    }
    return this.#controller.signal;
  }

  /** Starts the time that the headers may take, unless they were sent: when the request's turn has come, and is not over. */
  start(): void {
    if (this.#status !== undefined || this.#over) return;
    this.#headerTimer = this.#deps.clock.after(this.#options.headerTimeoutMs, () => this.#headersDue());
  }

  /** `callback` instead of an abort when the headers are due. */
  whenHeadersDue(callback: () => void): void {
    this.#onHeadersDue = callback;
  }

  /** Sends status and headers (a flat list); `alone` where no byte follows at once. */
  begin(status: number, headers: string[], alone = false): void {
    const close = this.#deps.closing() || hasBody(this.request);
    this.response.writeHead(status, close ? [...headers, 'Connection', 'close'] : headers);
    this.#status = status;
    this.#headerTimer?.clear();
    if (alone) this.response.flushHeaders();
  }

  /** Hands a block to the socket; `taken` is called once, in any case, when it refers to the block no more. One at a time. */
  write(block: Uint8Array, taken: (error?: Error | null) => void): void {
    if (this.#over) return queueMicrotask(() => taken(new AppError('CANCELLED', 'the client has left')));
    this.#firstByteMs ??= this.#elapsedMs();
    this.#handedBytes = block.length;
    this.#taken = taken;
    this.#copies(block.length);
    this.#watch();
    this.response.write(block, this.#onTaken);
  }

  end(): void {
    this.#handedBytes = 0;
    this.response.end();
    this.#watchRest();
  }

  /** Sends a whole response. HEAD gets the headers only. */
  send(status: number, headers: string[], bytes?: Uint8Array): void {
    this.begin(status, headers);
    if (bytes === undefined || this.head) return this.end();
    this.holds(bytes);
    this.#sendFrom(bytes, 0);
  }

  /** `bytes` are kept in memory for this response until it is over. Of several calls the first counts. */
  holds(bytes: Uint8Array): void {
    if (!this.#over) this.#letGo ??= this.#deps.queued.hold(bytes);
  }

  /** So many bytes are copied now. */
  #copies(bytes: number): void {
    if (!this.isSecure || bytes === this.#copiedBytes) return;
    this.#deps.queued.copied(bytes - this.#copiedBytes);
    this.#copiedBytes = bytes;
  }

  #sendFrom(bytes: Uint8Array, from: number): void {
    if (bytes.length - from > sliceBytes) {
      const next = from + sliceBytes;
      this.write(bytes.subarray(from, next), (error) => {
        if (!error) this.#sendFrom(bytes, next);
      });
      return;
    }
    this.#firstByteMs ??= this.#elapsedMs();
    this.#handedBytes = bytes.length - from;
    this.#copies(this.#handedBytes);
    this.response.end(from === 0 ? bytes : bytes.subarray(from));
    this.#watchRest();
  }

  /** Tells the client of the error while that is possible; else cuts the body, so that it does not look complete. */
  fail(error: unknown): void {
    if (this.#over || this.#left) return;
    const failure = asAppError(error);
    this.#errorCode ??= failure.code;
    if (failure.code === 'INTERNAL') {
      const fields = { request: this.id };
      this.#deps.channels.notice.publish({ level: 'error', message: 'a request failed inside', error, fields });
    }
    if (this.response.headersSent) return this.cut();
    this.served = undefined;
    const wire = wireErrorOf(failure, this.id);
    if (!hasBody(this.request)) return this.send(wire.status, wire.headers, wire.body);
    this.begin(wire.status, wire.headers);
    this.response.write(wire.body);
    void discardBody(this.request, this.#deps.clock).then(() => this.end());
  }

  /** Breaks the connection off. Never looks like an end: not to a client that waits for the close either. */
  cut(): void {
    const { socket } = this.request;
    if (this.request.httpVersion === '1.0') socket.resetAndDestroy();
    else socket.destroy();
  }

  /** The response is over: finished, or its connection gone. Idempotent. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stall?.clear();
    this.#headerTimer?.clear();
    this.#letGo?.();
    if (!this.#complete) this.#abort(new AppError('CANCELLED', 'the client has left'));
    // The response is written, or its socket's handle is closed and has cancelled what it was writing. Node drops what it is
    // given for a socket that was destroyed, and its callback too.
    if (this.#taken !== undefined) this.#onTaken(new AppError('CANCELLED', 'the client has left'));
    this.#copies(0);
    this.#publish();
    this.#closed();
  }

  readonly #onTaken = (error?: Error | null): void => {
    this.#stall?.end();
    const taken = this.#taken;
    if (taken === undefined) return;
    this.#taken = undefined;
    this.#copies(0);
    // On a socket that was destroyed, pending writes are called back as if they had succeeded.
    this.#left ||= Boolean(error) || this.request.socket.destroyed;
    if (this.#left) return taken(new AppError('CANCELLED', 'the client has left', { cause: error }));
    this.#bytes += this.#handedBytes;
    if (this.#bytes - this.#countedBytes >= countEveryBytes) this.#countServed();
    taken();
  };

  /** Says how much more was sent. Now and then, so that a rate shows while a long body goes out. */
  #countServed(): void {
    const bytes = this.#bytes - this.#countedBytes;
    if (this.served === undefined || bytes === 0) return;
    this.#countedBytes = this.#bytes;
    const fromFlight = this.served === 'joined' || this.served === 'led';
    this.#deps.channels.servedBytes.publish({ from: fromFlight ? 'flight' : 'cache', bytes });
  }

  #finished(): void {
    this.#complete = !this.request.socket.destroyed;
    if (this.#complete) this.#bytes += this.#handedBytes;
  }

  #headersDue(): void {
    if (this.#onHeadersDue !== undefined) return this.#onHeadersDue();
    const message = 'the content did not begin to arrive in time; the pull goes on';
    this.#abort(new AppError('HEADER_TIMEOUT', message, { retryAfterMs: headerRetryAfterMs }));
  }

  #abort(reason: AppError): void {
    this.#aborted ??= reason;
    this.#controller?.abort(reason);
  }

  /** The client has its time to take what is written now. */
  #watch(): void {
    this.#stall ??= new StallTimer(this.#deps.clock, this.#options.clientTimeoutMs, () => this.cut());
    this.#stall.begin();
  }

  /** The same for the last that is written, which mostly the kernel has taken by now: the close ends it. */
  #watchRest(): void {
    if (this.request.socket.writableLength > 0) this.#watch();
  }

  #elapsedMs(): number {
    return this.#deps.clock.monotonic() - this.#arrivedMs;
  }

  #beginTrace(oneIn: number): RequestTrace | undefined {
    const { clock, random } = this.#deps;
    return traceRequest(this.request.headers.traceparent, oneIn, { random, nowMs: clock.now() });
  }

  #publish(): void {
    const { channels, tally } = this.#deps;
    const { route, served } = this;
    const method = this.request.method ?? '';
    const status = this.#status ?? clientLeftStatus;
    const durationMs = this.#elapsedMs();
    const [firstByteMs, complete, errorCode] = [this.#firstByteMs, this.#complete, this.#errorCode];
    tally.cell({ route, method, status, served }).add({ firstByteMs, durationMs, complete, errorCode });
    this.#countServed();
    const { trace } = this;
    if (!channels.request.isHeard && trace === undefined) return;
    const event: RequestEvent = {
      id: this.id,
      client: this.client,
      method,
      path: originFormOf(this.request.url ?? ''),
      route,
      registry: this.scope?.registry,
      repository: this.scope?.repository,
      reference: this.reference,
      userAgent: this.request.headers['user-agent'],
      status,
      errorCode,
      served,
      bytes: this.#bytes,
      complete,
      firstByteMs,
      durationMs,
      ...(trace && { traceId: trace.traceId }),
    };
    channels.request.publish(event);
    if (trace !== undefined) channels.tracedRequest.publish({ event, trace });
  }
}
