import { type Attributes, type Link, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Clock } from '../core/clock.ts';
import type { SpanFacts, TraceContext } from '../core/tracing.ts';
import type { Channels } from './channels.ts';
import type { EndedSpan } from './spans.ts';

interface OtlpSpansDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'notice'>;
}

export interface OtlpSpansOptions {
  /** The collector's origin. */
  readonly endpoint: string;
  readonly version: string;
  /** What this node is called, where there are several. */
  readonly node: string | undefined;
}

const timeoutMs = 5000;
const closeWithinMs = 2000;
/** A collector that does not answer is said again after so long. */
const sayAgainMs = 60_000;

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;

/**
 * Takes spans to an OpenTelemetry collector (OTLP over HTTP, JSON), in batches, by OpenTelemetry's own packages. What a slow
 * collector does not take is dropped: its queue is bounded.
 */
export class OtlpSpans implements AsyncDisposable {
  readonly #processor: BatchSpanProcessor;
  readonly #resource: Resource;
  readonly #scope: ReadableSpan['instrumentationScope'];
  readonly #clock: Clock;

  constructor({ clock, channels }: OtlpSpansDeps, { endpoint, version, node }: OtlpSpansOptions) {
    this.#clock = clock;
    const exporter = new OTLPTraceExporter({
      url: new URL('/v1/traces', endpoint).href,
      timeoutMillis: timeoutMs,
      // A batch every few seconds; and nobody would close the connection in the end.
      httpAgentOptions: { keepAlive: false },
    });
    let saidAtMs = Number.NEGATIVE_INFINITY;
    const watched: SpanExporter = {
      export: (spans, done) =>
        exporter.export(spans, (result) => {
          const nowMs = clock.monotonic();
          if (result.error !== undefined && nowMs - saidAtMs >= sayAgainMs) {
            saidAtMs = nowMs;
            const message = `traces do not reach ${endpoint}: ${result.error.message}`;
            channels.notice.publish({ level: 'warn', message, fields: { event: 'traces-lost' } });
          }
          done(result);
        }),
      shutdown: () => exporter.shutdown(),
    };
    this.#processor = new BatchSpanProcessor(watched, { exportTimeoutMillis: timeoutMs });
    this.#resource = resourceFromAttributes({
      'service.name': 'onepull',
      'service.version': version,
      ...(node !== undefined && { 'service.instance.id': node }),
    });
    this.#scope = { name: 'onepull', version };
  }

  add(span: EndedSpan): void {
    this.#processor.onEnd(this.#readable(span));
  }

  /** What waits is sent, if that does not take long. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.after(closeWithinMs, resolve);
    await Promise.race([this.#processor.shutdown().catch(() => {}), late]);
    timer.clear();
  }

  #readable(span: EndedSpan): ReadableSpan {
    const { traceId, parentSpanId, startMs, endMs, error } = span;
    const context = contextOf(span);
    return {
      name: span.name,
      kind: kinds[span.kind satisfies SpanFacts['kind']],
      spanContext: () => context,
      ...(parentSpanId !== undefined && { parentSpanContext: contextOf({ traceId, spanId: parentSpanId }) }),
      startTime: highResolution(startMs),
      endTime: highResolution(endMs),
      duration: highResolution(endMs - startMs),
      status: error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error },
      attributes: known(span.attributes),
      links: span.links.map((link): Link => ({ context: contextOf(link) })),
      events: [],
      ended: true,
      resource: this.#resource,
      instrumentationScope: this.#scope,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }
}

function contextOf({ traceId, spanId }: TraceContext) {
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
}

/** Seconds and nanoseconds. */
function highResolution(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

function known(attributes: EndedSpan['attributes']): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined)) as Attributes;
}
