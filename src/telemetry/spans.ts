import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import {
  newSpanId,
  type RequestTrace,
  type Span,
  type SpanAttributes,
  type SpanFacts,
  type TraceContext,
  type Tracing,
} from '../core/tracing.ts';
import type { Channels, RequestEvent } from './channels.ts';
import { clipped } from './request-lines.ts';

/** A span that is over, for whoever takes them away. */
export interface EndedSpan extends SpanFacts, TraceContext {
  readonly parentSpanId: string | undefined;
  readonly attributes: SpanAttributes;
  readonly links: readonly TraceContext[];
  /** Milliseconds since the epoch. */
  readonly startMs: number;
  readonly endMs: number;
  /** Why it failed, in words. */
  readonly error: string | undefined;
}

export interface SpansDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'tracedRequest'>;
  readonly ended: (span: EndedSpan) => void;
}

const mostLinks = 32;

/**
 * The traces of this process.
 *
 * Invariants: a span is told of once, when it is over. Which one is the current one goes along the chain of calls, so work that
 * is shared belongs to whoever began it. Nothing is recorded, and nothing costs anything, outside of `within`.
 */
export class Spans implements Tracing {
  readonly #deps: SpansDeps;
  readonly #current = new AsyncLocalStorage<TraceContext>();

  constructor(deps: SpansDeps) {
    this.#deps = deps;
    deps.channels.tracedRequest.subscribe(({ event, trace }) => deps.ended(requestSpan(event, trace)));
  }

  current(): TraceContext | undefined {
    return this.#current.getStore();
  }

  within<T>(context: TraceContext, work: () => T): T {
    return this.#current.run(context, work);
  }

  begin(facts: SpanFacts): Span | undefined {
    const parent = this.current();
    if (parent === undefined) return undefined;
    const { clock, ended } = this.#deps;
    return new RunningSpan(facts, parent, clock, ended);
  }
}

class RunningSpan implements Span {
  readonly traceId: string;
  readonly spanId: string = newSpanId();
  readonly #facts: SpanFacts;
  readonly #parent: TraceContext;
  readonly #clock: Clock;
  readonly #ended: (span: EndedSpan) => void;
  readonly #startMs: number;
  readonly #startedMs: number;
  readonly #links: TraceContext[] = [];
  #attributes: SpanAttributes;
  #isOver = false;

  constructor(facts: SpanFacts, parent: TraceContext, clock: Clock, ended: (span: EndedSpan) => void) {
    this.traceId = parent.traceId;
    this.#facts = facts;
    this.#parent = parent;
    this.#clock = clock;
    this.#ended = ended;
    this.#startMs = clock.now();
    this.#startedMs = clock.monotonic();
    this.#attributes = facts.attributes ?? {};
  }

  set(attributes: SpanAttributes): void {
    this.#attributes = { ...this.#attributes, ...attributes };
  }

  link({ traceId, spanId }: TraceContext): void {
    if (this.#links.length < mostLinks) this.#links.push({ traceId, spanId });
  }

  end(error?: AppError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { name, kind } = this.#facts;
    const { traceId, spanId } = this;
    this.#ended({
      ...{ name, kind, traceId, spanId },
      parentSpanId: this.#parent.spanId,
      attributes: error === undefined ? this.#attributes : { ...this.#attributes, 'error.type': error.code },
      links: this.#links,
      startMs: this.#startMs,
      // The wall clock may be set meanwhile.
      endMs: this.#startMs + this.#clock.monotonic() - this.#startedMs,
      error: error?.message,
    });
  }
}

const serverErrors = 500;

/** In the words of OpenTelemetry's semantic conventions for HTTP, where they have some. */
function requestSpan(event: RequestEvent, { traceId, spanId, parentSpanId, startMs }: RequestTrace): EndedSpan {
  const { method, route, status, errorCode, complete } = event;
  const hasFailed = status >= serverErrors || !complete;
  return {
    ...{ traceId, spanId, parentSpanId, startMs },
    name: `${method} ${route}`,
    kind: 'server',
    links: [],
    endMs: startMs + event.durationMs,
    error: hasFailed ? (errorCode ?? 'the client left') : undefined,
    attributes: {
      'http.request.method': method,
      'http.response.status_code': status,
      'http.response.body.size': event.bytes,
      'client.address': event.client,
      'user_agent.original': clipped(event.userAgent),
      'error.type': errorCode,
      'onepull.request.id': event.id,
      'onepull.registry': event.registry,
      'onepull.repository': event.repository,
      'onepull.reference': event.reference,
      'onepull.served': event.served,
      'onepull.first_byte_ms': event.firstByteMs,
    },
  };
}
