import type { Dispatcher } from 'undici';
import type { Clock, Timer } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { type Span, type Tracing, traceparentOf } from '../core/tracing.ts';
import type { BodyLine } from './body-line.ts';
import type { LinedOptions } from './line-client.ts';
import { ResponseBody } from './response-body.ts';
import {
  cancelled,
  connectionError,
  type ErrorContext,
  interruptedError,
  type ResponseHeaders,
} from './upstream-errors.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Called when it goes out on a connection. */
  readonly onSent?: (() => void) | undefined;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: ResponseHeaders;
  readonly body: ResponseBody;
  /** From when the request went out on a connection to the headers. */
  readonly latencyMs: number;
}

export interface ExchangeDeps {
  readonly clock: Clock;
  readonly context: ErrorContext;
  /** Told of it, from here to the end of its body; whoever is asked hears of that trace. */
  readonly tracing?: Tracing | undefined;
  /** Whether it was led elsewhere: there paths may be signed, too. */
  readonly isElsewhere?: boolean;
}

export interface ExchangeLimits {
  readonly acquireTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly stallTimeoutMs: number;
}

/**
 * One request and its answer's head; the body follows in the answer. Every wait is bounded: for a connection of ours
 * (the connector bounds the connecting itself), for the headers, and between the body's bytes. `signal` ends all of
 * them, the body included. Rejects with an `AppError`.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: HttpRequest,
  limits: ExchangeLimits & ExchangeDeps,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const handler = new ExchangeHandler(request, limits, signal);
  if (signal.aborted) return Promise.reject(cancelled(signal));
  handler.start();
  const span = beginSpan(request, limits, handler.answer);
  const options: LinedOptions = {
    lined: (line) => handler.travelsOn(line),
    origin: request.url.origin,
    path: `${request.url.pathname}${request.url.search}`,
    method: request.method,
    headers: span === undefined ? { ...request.headers } : { ...request.headers, traceparent: traceparentOf(span) },
    body: request.body ?? null,
    // A connection survives a HEAD, as it does everywhere else.
    ...(request.method === 'HEAD' ? { reset: false } : {}),
    headersTimeout: 0,
    bodyTimeout: 0,
  };
  try {
    dispatcher.dispatch(options, handler);
  } catch (error) {
    handler.onResponseError(undefined, error);
  }
  return handler.answer;
}

/** In the words of OpenTelemetry's semantic conventions for HTTP, where they have some. */
function beginSpan(
  { method, url }: HttpRequest,
  { tracing, context, isElsewhere }: ExchangeDeps,
  answer: Promise<HttpResponse>,
): Span | undefined {
  const span = tracing?.begin({
    name: `${method} ${context.kind}`,
    kind: 'client',
    attributes: {
      'http.request.method': method,
      'server.address': url.hostname,
      'url.path': isElsewhere === true ? undefined : url.pathname,
      'onepull.upstream': context.upstream,
    },
  });
  if (span === undefined) return undefined;
  answer.then(
    ({ status, body }) => {
      span.set({ 'http.response.status_code': status });
      body.onClosed((end) => {
        span.set({ 'http.response.body.size': body.receivedBytes });
        span.end(end.kind === 'failed' ? end.error : undefined);
      });
    },
    (error) => span.end(error),
  );
  return span;
}

const highWaterBytes = 256 * 1024;
/** What has less of a body is not worth the connection that taking it costs. */
const takenFromBytes = 16 * 1024 * 1024;

class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #request: HttpRequest;
  readonly #limits: ExchangeLimits & ExchangeDeps;
  readonly #signal: AbortSignal;
  readonly #answer = Promise.withResolvers<HttpResponse>();
  readonly #onAbort = () => this.#abort(cancelled(this.#signal));
  #timer: Timer | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #body: ResponseBody | undefined;
  #line: (() => BodyLine | undefined) | undefined;
  /** Hands on the body, past us. */
  #taken: BodyLine | undefined;
  /** Why this exchange is over before its answer came. */
  #over: AppError | undefined;
  #sentAtMs = 0;

  constructor(request: HttpRequest, limits: ExchangeLimits & ExchangeDeps, signal: AbortSignal) {
    this.#request = request;
    this.#limits = limits;
    this.#signal = signal;
  }

  get answer(): Promise<HttpResponse> {
    return this.#answer.promise;
  }

  /** Told before it is sent; the line is that of the present connection. */
  travelsOn(line: () => BodyLine | undefined): void {
    this.#line = line;
  }

  start(): void {
    const { clock, acquireTimeoutMs, context } = this.#limits;
    this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#timer = clock.after(acquireTimeoutMs, () => {
      const message = `no connection to upstream ${context.upstream} (${context.host}) was free for ${acquireTimeoutMs} ms`;
      this.#abort(new AppError('OVERLOADED', message));
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Nobody could be told while it waited in the pool.
    if (this.#over !== undefined) return controller.abort(this.#over);
    const { clock, headersTimeoutMs, context } = this.#limits;
    this.#controller = controller;
    this.#sentAtMs = clock.monotonic();
    this.#request.onSent?.();
    this.#timer?.clear();
    this.#timer = clock.after(headersTimeoutMs, () => {
      const message = `upstream ${context.upstream} (${context.host}) did not answer within ${headersTimeoutMs} ms`;
      this.#abort(new AppError('UPSTREAM_TIMEOUT', message, { details: { upstream: context.upstream } }));
    });
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: ResponseHeaders): void {
    if (status < 200 || this.#over !== undefined) return;
    this.#timer?.clear();
    const { clock, stallTimeoutMs, context } = this.#limits;
    const declaredBytes = contentLengthOf(headers);
    const line = this.#lineOf(status, headers, declaredBytes);
    // Right before the body, so that whoever reads it can choose how.
    if (line !== undefined) controller.pause();
    /** Who sends the body: the connection itself once it is taken. */
    let sender: Pick<BodyLine, 'pause' | 'resume'> = controller;
    const body = new ResponseBody({
      clock,
      stallTimeoutMs,
      highWaterBytes,
      context,
      declaredBytes,
      isPaused: line !== undefined,
      take: () => {
        if (line === undefined || declaredBytes === undefined || !line.canBeTaken) return undefined;
        sender = line;
        this.#taken = line;
        return line.take(declaredBytes, {
          received: (chunk) => body.receive(chunk),
          complete: () => {
            body.complete();
            controller.abort(new AppError('CANCELLED', 'the body did not go through the parser'));
          },
        });
      },
      pause: () => sender.pause(),
      resume: () => sender.resume(),
      abort: (reason) => controller.abort(reason),
    });
    body.onClosed(() => this.#release());
    this.#body = body;
    this.#answer.resolve({ status, headers, body, latencyMs: clock.monotonic() - this.#sentAtMs });
  }

  /** The connection, where a body as large as this one can be received past its parser. */
  #lineOf(status: number, headers: ResponseHeaders, declaredBytes = 0): BodyLine | undefined {
    const isTakeable = this.#request.method === 'GET' && (status === 200 || status === 206);
    if (!isTakeable || declaredBytes < takenFromBytes || 'transfer-encoding' in headers) return undefined;
    return this.#line?.();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#body?.receive(chunk);
  }

  onResponseEnd(): void {
    this.#body?.complete();
  }

  onResponseError(_controller: unknown, error: unknown): void {
    this.#taken?.flush();
    if (this.#body === undefined) this.#reject(connectionError(this.#limits.context, error));
    else this.#body.fail(interruptedError(this.#limits.context, error));
  }

  #abort(error: AppError): void {
    if (this.#body !== undefined) return this.#body.abort(error);
    this.#reject(error);
    this.#controller?.abort(error);
  }

  #reject(error: AppError): void {
    this.#over ??= error;
    this.#release();
    this.#answer.reject(this.#over);
  }

  #release(): void {
    this.#timer?.clear();
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}

/** Content-Length, where it is there and a number. */
export function contentLengthOf(headers: ResponseHeaders): number | undefined {
  const value = headers['content-length'];
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
