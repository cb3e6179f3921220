import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

/** A span as OTLP's JSON has it, in the parts that tests look at. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** OTLP's SpanKind: 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code?: number; readonly message?: string };
}

interface Collected {
  readonly resourceSpans: readonly {
    readonly resource: Pick<CollectedSpan, 'attributes'>;
    readonly scopeSpans: readonly { readonly spans: readonly CollectedSpan[] }[];
  }[];
}

/** An OpenTelemetry collector that keeps what it is sent. */
export class TraceCollector implements AsyncDisposable {
  readonly spans: CollectedSpan[] = [];
  /** Who told it of spans: once for each batch. */
  readonly resources: Readonly<Record<string, unknown>>[] = [];
  readonly #server: Server;

  /** `whenAsked`: waited for before an answer; what it resolves with is the answer's status. */
  private constructor(whenAsked: () => Promise<number>) {
    this.#server = createServer(async (request, response) => {
      const { resourceSpans } = (await json(request)) as Collected;
      if (request.url === '/v1/traces') {
        for (const { resource } of resourceSpans) {
          this.resources.push(
            Object.fromEntries(resource.attributes.map(({ key, value }) => [key, Object.values(value)[0]])),
          );
        }
        this.spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)));
      }
      response.writeHead(await whenAsked(), { 'content-type': 'application/json' }).end('{}');
    });
  }

  static async start(whenAsked: () => Promise<number> = async () => 200): Promise<TraceCollector> {
    const collector = new TraceCollector(whenAsked);
    const { promise, resolve } = Promise.withResolvers<void>();
    collector.#server.listen(0, '127.0.0.1', resolve);
    await promise;
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Of this name. */
  named(name: string): CollectedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }
}

export function attributeOf({ attributes }: CollectedSpan, key: string): unknown {
  const value = attributes.find((attribute) => attribute.key === key)?.value;
  return value === undefined ? undefined : Object.values(value)[0];
}
