/** What clients ask for, all over again. */
export interface LoadRequest {
  /** `http://host:port` or `https://...` */
  readonly origin: string;
  readonly method: 'GET' | 'HEAD';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The whole body's. */
  readonly sizeBytes: number;
  /** Instead of the whole: parts of this size, all over it. */
  readonly rangeBytes?: number | undefined;
}

export interface Load {
  /** Connections at once, each of which asks again as soon as it has its answer. */
  readonly connections: number;
  readonly durationMs: number;
}

/** What came of it. */
export interface LoadOutcome {
  /** Complete answers. */
  readonly requests: number;
  /** All that was received, heads and incomplete bodies included. */
  readonly bytes: number;
  readonly seconds: number;
  /** CPU time of the client. */
  readonly clientMs: number;
  /** Of one request, in ms. Undefined where the client does not take it. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number } | undefined;
  /** What went wrong; with anything in it, the figures are worth nothing. */
  readonly errors: readonly string[];
}

/** Where the parts of a body begin and end, both inclusive. What is left at the end is no part. */
export function rangesOf(sizeBytes: number, rangeBytes: number): { first: number; last: number }[] {
  return Array.from({ length: Math.floor(sizeBytes / rangeBytes) }, (_, n) => {
    return { first: n * rangeBytes, last: (n + 1) * rangeBytes - 1 };
  });
}
