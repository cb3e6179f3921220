import type { Clock } from '../core/clock.ts';
import { AppError, asAppError, isRefusal, withRetryAfter } from '../core/errors.ts';
import type { RepositoryName } from '../core/repository-name.ts';
import type { SourceBody, SourceRequest } from '../flights/source.ts';
import type { Channels, UpstreamRequestKind } from '../telemetry/channels.ts';
import type { Authorizer } from './authorizer.ts';
import { parseChallenges } from './challenge.ts';
import type { Lane } from './connections.ts';
import type { Endpoint } from './endpoint.ts';
import type { EndpointGate, GatePass, GateWhat } from './endpoint-gate.ts';
import { type EndpointWatch, isEndpointsFault } from './endpoint-watch.ts';
import { publishRateLimit, readRateLimit } from './rate-limit.ts';
import type { BodyEnd } from './response-body.ts';
import type { Transport, TransportResponse } from './transport.ts';
import { cancelled, isDescriptorLack, type ResponseHeaders, readRetryAfter } from './upstream-errors.ts';

/** What is asked of an endpoint, by the distribution API. */
export interface Ask {
  readonly kind: UpstreamRequestKind;
  /** For the endpoint's gate. */
  readonly what: GateWhat;
  readonly method: 'GET' | 'HEAD';
  readonly repository: RepositoryName;
  /** What follows `/v2/<repository>/`. */
  readonly path: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface EndpointClientDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly transport: Pick<Transport, 'send'>;
  readonly authorizer: Authorizer;
  readonly watch: EndpointWatch;
  readonly gate: EndpointGate;
}

export interface EndpointClientOptions {
  readonly upstream: string;
  /** So long without an answer counts against the endpoint, even if the request was given up for another reason. */
  readonly patienceMs: number;
  readonly stallTimeoutMs: number;
}

/** What an endpoint last said of its limit. */
export interface ToldLimit {
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
  readonly atMs: number;
}

/** A request on its way, for the judgement on it. */
interface Course {
  /** When it was let out of the gate, and when it last went out on a connection; on the monotonic clock. */
  readonly enteredMs: number;
  sentMs: number | undefined;
  /** Of its last answer. */
  latencyMs: number | undefined;
  /** The answer that counts is there: a challenge is not, nor is a token. */
  isAnswered: boolean;
}

/** How often one request gets a new token: once because it had none or an old one, more if that was revoked at once. */
const maxRenewals = 3;

/**
 * One endpoint, asked by its rules: through its gate, authorised as it wants, and each request told to its watch.
 *
 * Invariants
 * - Whoever has passed the gate holds its pass until the answer has been read, of a blob until its body is closed, and gives
 *   it back exactly once, whatever happens.
 * - What a request says of the endpoint is told once, when it is over: that somebody left is no fault of the endpoint's,
 *   unless it had kept them waiting for too long.
 * - A token is asked for while a pass is held; token requests pass no gate, so nothing here waits for itself.
 */
export class EndpointClient {
  readonly endpoint: Endpoint;
  readonly watch: EndpointWatch;
  readonly gate: EndpointGate;
  readonly #deps: EndpointClientDeps;
  readonly #options: EndpointClientOptions;
  #toldLimit: ToldLimit | undefined;

  constructor(deps: EndpointClientDeps, endpoint: Endpoint, options: EndpointClientOptions) {
    this.#deps = deps;
    this.#options = options;
    this.endpoint = endpoint;
    this.watch = deps.watch;
    this.gate = deps.gate;
  }

  get toldLimit(): ToldLimit | undefined {
    return this.#toldLimit;
  }

  /** Sends a request with a small answer, which `read` reads to its end or discards. */
  async control<T>(ask: Ask, signal: AbortSignal, read: (response: TransportResponse) => Promise<T>): Promise<T> {
    const pass = await this.gate.enter({ what: ask.what }, signal);
    const course = this.#course();
    try {
      const response = await this.#send(ask, 'control', pass, course, signal);
      course.isAnswered = true;
      const value = await read(response);
      this.watch.answered(response.latencyMs, course.sentMs ?? course.enteredMs);
      pass.ended('done');
      return value;
    } catch (thrown) {
      throw this.#failed(ask, course, pass, thrown, signal);
    }
  }

  /**
   * Sends a request for a blob's bytes. `headersTimeoutMs`: for this one, instead of the upstream's. `body` gives what is
   * read of the answer, or throws; the signal ends the body, too.
   */
  async bulk(
    ask: Ask,
    request: Pick<SourceRequest, 'optional' | 'urgency' | 'waiting'> & { readonly headersTimeoutMs?: number },
    signal: AbortSignal,
    body: (response: TransportResponse) => Promise<SourceBody>,
  ): Promise<SourceBody> {
    const { headersTimeoutMs, ...turn } = request;
    const pass = await this.gate.enter({ ...turn, what: ask.what }, signal);
    const course = this.#course();
    try {
      const response = await this.#send(ask, 'bulk', pass, course, signal, headersTimeoutMs);
      course.isAnswered = true;
      const opened = await body(response);
      this.watch.headers(response.latencyMs);
      this.#follow(response, pass, course, signal);
      return opened;
    } catch (thrown) {
      throw this.#failed(ask, course, pass, thrown, signal);
    }
  }

  #course(): Course {
    return { enteredMs: this.#deps.clock.monotonic(), sentMs: undefined, latencyMs: undefined, isAnswered: false };
  }

  /** Sends, authorised as the repository last asked for, and again if the endpoint wants it otherwise. */
  async #send(
    ask: Ask,
    lane: Lane,
    pass: GatePass,
    course: Course,
    signal: AbortSignal,
    headersTimeoutMs?: number,
  ): Promise<TransportResponse> {
    const { clock, authorizer, transport } = this.#deps;
    const { endpoint } = this;
    const timeout = headersTimeoutMs === undefined ? {} : { headersTimeoutMs };
    const onSent = () => {
      course.sentMs = clock.monotonic();
    };
    const send = async (header: string | undefined) => {
      const headers = { ...ask.headers, ...(header === undefined ? {} : { authorization: header }) };
      const url = endpoint.resolve(`/v2/${ask.repository}/${ask.path}`, ask.query);
      const response = await transport.send({ ...ask, ...timeout, lane, endpoint, url, headers, onSent }, signal);
      course.latencyMs = response.latencyMs;
      this.#told(response, pass);
      return response;
    };
    let authorization = await this.#token(pass, authorizer.remembered(endpoint, ask.repository, signal));
    let response = await send(authorization?.header);
    for (let renewals = 0; renewals < maxRenewals && response.status === 401 && response.own; renewals++) {
      authorization?.refused();
      // A token that is new and refused all the same is no news, unless it was revoked since (RFC 6750 section 3.1).
      if (renewals > 0 && !saysInvalidToken(response.headers)) return response;
      try {
        const { headers } = response;
        authorization = await this.#token(pass, authorizer.answer(endpoint, ask.repository, headers, signal));
        if (authorization === undefined) return response;
        response.body.discard();
        response = await send(authorization.header);
      } catch (error) {
        response.body.discard();
        throw error;
      }
    }
    if (response.status === 401) authorization?.refused();
    return response;
  }

  /** A token server that limits us, or asks for a rest, does so for all that need tokens. */
  async #token<T>(pass: GatePass, authorized: Promise<T>): Promise<T> {
    try {
      return await authorized;
    } catch (thrown) {
      const { status, retryAfterMs } = asAppError(thrown);
      if (isDescriptorLack(thrown)) throw thrown;
      if (status === 429 || status === 503) pass.answered(status, retryAfterMs, 'other');
      throw thrown;
    }
  }

  #told({ status, headers }: TransportResponse, pass: GatePass): void {
    const { clock, channels } = this.#deps;
    const nowMs = clock.now();
    publishRateLimit(channels, this.#options.upstream, headers, nowMs);
    const { limit, remaining } = readRateLimit(headers, nowMs);
    if (limit !== undefined || remaining !== undefined) this.#toldLimit = { limit, remaining, atMs: nowMs };
    const refuses = status === 429 || status >= 500;
    pass.answered(status, refuses ? readRetryAfter(headers, nowMs) : undefined);
  }

  /** Tells what a failed request says of the endpoint; returns what to throw. */
  #failed({ what }: Ask, course: Course, pass: GatePass, thrown: unknown, signal: AbortSignal): AppError {
    const { sentMs, enteredMs, latencyMs, isAnswered } = course;
    if (signal.aborted) {
      if (!isAnswered) this.#leftWaiting(course);
      pass.ended('left');
      return cancelled(signal);
    }
    const error = asAppError(thrown);
    if (isDescriptorLack(error)) {
      pass.ended('left');
      return error;
    }
    if (isEndpointsFault(error)) this.watch.failed(error);
    else if (latencyMs !== undefined && error.code !== 'UPSTREAM_RATE_LIMITED') {
      this.watch.answered(latencyMs, sentMs ?? enteredMs);
    }
    pass.ended(isRefusal(error) ? 'refused' : 'failed');
    return this.#withRest(error, what);
  }

  /** A refusal that says too little of how long it lasts is told with what the gate makes of it. */
  #withRest(error: AppError, what: Ask['what']): AppError {
    const { status, retryAfterMs = 0 } = error;
    const restMs = this.gate.restMs(what);
    return (status === 429 || status === 503) && restMs > retryAfterMs ? withRetryAfter(error, restMs) : error;
  }

  #leftWaiting({ enteredMs, sentMs }: Course): void {
    const waitedMs = this.#deps.clock.monotonic() - (sentMs ?? enteredMs);
    if (waitedMs >= this.#options.patienceMs) this.watch.failed(this.#silentError('UPSTREAM_TIMEOUT', waitedMs));
    else if (sentMs !== undefined) this.watch.overtaken(waitedMs);
  }

  /** The body decides what becomes of the request: whether it brings all that it promised, and how fast. */
  #follow({ body }: TransportResponse, pass: GatePass, course: Course, signal: AbortSignal): void {
    const { channels } = this.#deps;
    const { upstream } = this.#options;
    body.countWith((bytes, activeMs) => {
      channels.upstreamBytes.publish({ upstream, bytes });
      this.watch.progress(bytes, activeMs);
    });
    body.onClosed((end) => {
      if (end.kind === 'complete') {
        this.watch.delivered(course.sentMs ?? course.enteredMs);
        return pass.ended('done');
      }
      const error = this.#faultOf(end);
      if (error !== undefined) this.watch.failed(error);
      pass.ended(error === undefined || signal.aborted ? 'left' : 'failed');
    });
  }

  /** A reader that leaves after a long wait for a byte leaves because of it: whoever gives up first, it is a stall. */
  #faultOf(end: Exclude<BodyEnd, { kind: 'complete' }>): AppError | undefined {
    if (end.kind === 'failed' && isEndpointsFault(end.error)) return end.error;
    const isStall = end.waitedMs >= this.#options.stallTimeoutMs / 2;
    return isStall ? this.#silentError('UPSTREAM_STALLED', end.waitedMs) : undefined;
  }

  #silentError(code: 'UPSTREAM_TIMEOUT' | 'UPSTREAM_STALLED', waitedMs: number): AppError {
    const message = `upstream ${this.#options.upstream} (${this.endpoint.name}) was silent for ${Math.round(waitedMs)} ms`;
    return new AppError(code, message, { details: { upstream: this.#options.upstream } });
  }
}

function saysInvalidToken(headers: ResponseHeaders): boolean {
  const challenges = parseChallenges(headers['www-authenticate']);
  return challenges.some(({ params }) => params.get('error') === 'invalid_token');
}
