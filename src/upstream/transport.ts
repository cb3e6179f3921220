import type { Clock } from '../core/clock.ts';
import { AppError, asAppError } from '../core/errors.ts';
import type { Tracing } from '../core/tracing.ts';
import type { Channels, UpstreamRequestKind } from '../telemetry/channels.ts';
import type { Connections, Lane } from './connections.ts';
import type { Endpoint, Endpoints } from './endpoint.ts';
import { exchange, type HttpRequest, type HttpResponse } from './exchange.ts';
import { decideRedirect, isAllowedHost } from './redirect-rules.ts';
import { type ErrorContext, isDescriptorLack } from './upstream-errors.ts';
import type { ResolvedUpstreamOptions } from './upstream-options.ts';

export interface TransportRequest extends HttpRequest {
  readonly kind: UpstreamRequestKind;
  readonly lane: Lane;
  /** On whose behalf; for events. */
  readonly endpoint: Endpoint;
  /** The configuration names the host, so that its address is not judged. The upstream's own origins always are. */
  readonly allowed?: boolean;
  /** Instead of the upstream's. */
  readonly headersTimeoutMs?: number;
}

export interface TransportResponse extends HttpResponse {
  /** Whom the answer is from, after redirects. */
  readonly context: ErrorContext;
  /** It is from one of the upstream's own origins, not from one that it redirected to. */
  readonly own: boolean;
}

interface TransportDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly connections: Connections;
  readonly endpoints: Endpoints;
  readonly tracing?: Tracing | undefined;
}

const redirectStatuses: readonly number[] = [301, 302, 303, 307, 308];

/** Sends requests and follows redirects by the rules. Each exchange on the way is published once. */
export class Transport {
  readonly #deps: TransportDeps;
  readonly #options: ResolvedUpstreamOptions;

  constructor(deps: TransportDeps, options: ResolvedUpstreamOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async send(first: TransportRequest, signal: AbortSignal): Promise<TransportResponse> {
    let request = first;
    for (let followed = 0; ; followed++) {
      const context = { upstream: this.#options.name, host: request.url.host, kind: request.kind };
      const response = await this.#exchange(request, context, signal);
      if (!redirectStatuses.includes(response.status)) {
        return { ...response, context, own: this.#deps.endpoints.own(request.url) };
      }
      response.body.discard();
      request = this.#redirected(request, response, followed);
    }
  }

  #redirected(request: TransportRequest, response: HttpResponse, followed: number): TransportRequest {
    const { location } = response.headers;
    const allow = this.#options.redirectsAllow;
    const decision = decideRedirect({
      from: request.url,
      location: typeof location === 'string' ? location : undefined,
      followed,
      upstreamIsHttps: request.endpoint.url.protocol === 'https:',
      upstreamIsInternal: this.#deps.connections.upstreamIsInternal,
      allow,
    });
    // The body of a POST holds a credential.
    const reason = request.method === 'POST' ? 'a POST is not sent on' : decision.kind === 'refuse' && decision.reason;
    if (decision.kind === 'refuse' || reason !== false) {
      const who = `upstream ${this.#options.name} (${request.url.host})`;
      throw new AppError('UPSTREAM_REDIRECT_REFUSED', `a redirect of ${who} was refused: ${reason}`, {
        details: { upstream: this.#options.name },
      });
    }
    const { authorization: _, ...anonymousHeaders } = request.headers;
    const headers = decision.sameOrigin ? request.headers : anonymousHeaders;
    const allowed = decision.sameOrigin ? (request.allowed ?? false) : isAllowedHost(decision.url, allow);
    return { ...request, url: decision.url, headers, allowed };
  }

  async #exchange(request: TransportRequest, context: ErrorContext, signal: AbortSignal): Promise<HttpResponse> {
    const { clock, connections, tracing } = this.#deps;
    const headers = { ...request.headers, 'user-agent': this.#options.userAgent, 'accept-encoding': 'identity' };
    const startedMs = clock.monotonic();
    try {
      const dispatcher = connections.dispatcherFor(request.url, request.lane, request.allowed ?? false);
      const headersTimeoutMs = request.headersTimeoutMs ?? this.#options.headersTimeoutMs;
      const isElsewhere = request.url.origin !== request.endpoint.url.origin;
      const limits = { ...this.#options, headersTimeoutMs, clock, context, tracing, isElsewhere };
      const response = await exchange(dispatcher, { ...request, headers }, limits, signal);
      this.#publish(request, response.status, startedMs);
      return response;
    } catch (error) {
      const failure = asAppError(error);
      if (isDescriptorLack(failure)) this.#deps.channels.refused.publish({ bound: 'descriptors' });
      this.#publish(request, failure.code, startedMs);
      throw failure;
    }
  }

  #publish(request: TransportRequest, status: number | AppError['code'], startedMs: number): void {
    this.#deps.channels.upstreamRequest.publish({
      upstream: this.#options.name,
      endpoint: request.endpoint.name,
      kind: request.kind,
      method: request.method,
      status,
      durationMs: this.#deps.clock.monotonic() - startedMs,
    });
  }
}
