import { randomBytes } from 'node:crypto';
import { type AppError, asAppError } from './errors.ts';

/** A place in a trace that is being recorded (W3C Trace Context). What is not recorded has none. Plain data. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
}

/** One request of a client as a trace sees it. */
export interface RequestTrace extends TraceContext {
  /** Whose request caused it; undefined: the trace begins here. */
  readonly parentSpanId: string | undefined;
  /** Milliseconds since the epoch. */
  readonly startMs: number;
}

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanFacts {
  readonly name: string;
  /** `server`: answers somebody; `client`: asks somebody; `internal`: neither. */
  readonly kind: 'server' | 'client' | 'internal';
  readonly attributes?: SpanAttributes;
}

/** Something under way that a trace will tell of. */
export interface Span extends TraceContext {
  set(attributes: SpanAttributes): void;
  /** Another one, maybe of another trace, that has to do with it. */
  link(other: TraceContext): void;
  /** It is over. Later calls do nothing. */
  end(error?: AppError): void;
}

/** Tells traces of what happens. Parts that have none tell nobody. */
export interface Tracing {
  /** Whose work this is, by the chain of calls; undefined: it is not recorded. */
  current(): TraceContext | undefined;
  within<T>(context: TraceContext, work: () => T): T;
  /** Below the current one; undefined where nothing is recorded. */
  begin(facts: SpanFacts): Span | undefined;
}

const traceparentForm = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;
const sampledFlag = 1;

/**
 * What a `traceparent` header says (W3C Trace Context, "traceparent Header"); undefined where it says nothing that can be
 * understood, or came more than once. `isSampled`: whoever sent it records the trace.
 */
export function parseTraceparent(
  header: string | readonly string[] | undefined,
): (TraceContext & { isSampled: boolean }) | undefined {
  const [, traceId, spanId, flags] = traceparentForm.exec(typeof header === 'string' ? header : '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & sampledFlag) !== 0 };
}

/**
 * For a request that arrives: as whoever asks has decided (`header`), or, where nobody has, one of `oneIn` by chance. Undefined:
 * it is not recorded.
 */
export function traceRequest(
  header: string | readonly string[] | undefined,
  oneIn: number,
  { random, nowMs }: { readonly random: () => number; readonly nowMs: number },
): RequestTrace | undefined {
  const parent = parseTraceparent(header);
  if (!(parent?.isSampled ?? random() * oneIn < 1)) return undefined;
  const traceId = parent?.traceId ?? newTraceId();
  return { traceId, spanId: newSpanId(), parentSpanId: parent?.spanId, startMs: nowMs };
}

/** For the header of a request that is made on its behalf. */
export function traceparentOf({ traceId, spanId }: TraceContext): string {
  return `00-${traceId}-${spanId}-01`;
}

export function newTraceId(): string {
  return randomBytes(16).toString('hex');
}

export function newSpanId(): string {
  return randomBytes(8).toString('hex');
}

/** Does the work as a span of its own below `context`, or below the current one. Where nothing is recorded it is just done. */
export async function traced<T>(
  tracing: Tracing | undefined,
  context: TraceContext | undefined,
  facts: SpanFacts,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  const parent = context ?? tracing?.current();
  if (tracing === undefined || parent === undefined) return work(undefined);
  return tracing.within(parent, () => {
    const span = tracing.begin(facts);
    if (span === undefined) return work(undefined);
    return tracing.within(span, async () => {
      try {
        const result = await work(span);
        span.end();
        return result;
      } catch (error) {
        span.end(asAppError(error));
        throw error;
      }
    });
  });
}
