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
  /** Names this process among all onepulls that tell the collector, as long as it runs. */
  readonly instance: string;
  /** Of the machine. */
  readonly hostName: string;
}

const timeoutMs = 5000;
const closeWithinMs = 2000;
/** A collector that does not answer is said again after so long. */
const sayAgainMs = 60_000;
/** So many wait for the collector at most. */
const maxWaiting = 2048;

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;

/**
 * Takes spans to an OpenTelemetry collector (OTLP over HTTP, JSON), in batches, by OpenTelemetry's own packages.
 *
 * Invariant: at most `maxWaiting` spans wait. What a slow collector does not take is dropped, and said with what it refused:
 * OpenTelemetry's queue would drop without a word.
 */
export class OtlpSpans implements AsyncDisposable {
  readonly #processor: BatchSpanProcessor;
  readonly #resource: Resource;
  readonly #scope: ReadableSpan['instrumentationScope'];
  readonly #deps: OtlpSpansDeps;
  readonly #endpoint: string;
  #waiting = 0;
  /** That did not get there since it was last said. */
  #lost = 0;
  #saidAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: OtlpSpansDeps, { endpoint, version, instance, hostName }: OtlpSpansOptions) {
    this.#deps = deps;
    this.#endpoint = endpoint;
    const exporter = new OTLPTraceExporter({
      url: new URL('/v1/traces', endpoint).href,
      timeoutMillis: timeoutMs,
      // A batch every few seconds; and nobody would close the connection in the end.
      httpAgentOptions: { keepAlive: false },
    });
    const watched: SpanExporter = {
      export: (spans, done) => {
        this.#waiting -= spans.length;
        exporter.export(spans, (result) => {
          if (result.error !== undefined) this.#lose(spans.length, result.error.message);
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
    };
    this.#processor = new BatchSpanProcessor(watched, { exportTimeoutMillis: timeoutMs, maxQueueSize: maxWaiting });
    this.#resource = resourceFromAttributes({
      'service.name': 'onepull',
      'service.version': version,
      'service.instance.id': instance,
      'host.name': hostName,
    });
    this.#scope = { name: 'onepull', version };
  }

  add(span: EndedSpan): void {
    if (this.#waiting >= maxWaiting) return this.#lose(1, 'it takes them too slowly');
    this.#waiting++;
    this.#processor.onEnd(this.#readable(span));
  }

  /** What waits is sent, if that does not take long. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = this.#deps.clock.after(closeWithinMs, resolve);
    await Promise.race([this.#processor.shutdown().catch(() => {}), late]);
    timer.clear();
  }

  #lose(spans: number, why: string): void {
    const { clock, channels } = this.#deps;
    this.#lost += spans;
    const nowMs = clock.monotonic();
    if (nowMs - this.#saidAtMs < sayAgainMs) return;
    this.#saidAtMs = nowMs;
    const message = `traces do not reach ${this.#endpoint}: ${why}`;
    channels.notice.publish({ level: 'warn', message, fields: { event: 'traces-lost', spans: this.#lost } });
    this.#lost = 0;
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
