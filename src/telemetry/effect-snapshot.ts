/** What onepull saves, over time. Plain data; sizes in bytes, times in ms. */
export interface EffectSnapshot {
  /** How far points are apart. */
  readonly stepMs: number;
  /** So many are kept. */
  readonly maxPoints: number;
  /** What happened in each step, the latest last. */
  readonly points: readonly EffectPoint[];
  /** From a request's arrival to the first byte of its body, of blobs and manifests, over all points. */
  readonly firstByteMs: Percentiles;
  /** What a transfer took that was done, over all points. */
  readonly pullMs: Percentiles;
  /** Since the start. */
  readonly upstreams: readonly UpstreamEffect[];
}

export interface EffectPoint {
  /** When the step ended, in ms since the epoch. */
  readonly atMs: number;
  /** Body bytes sent to clients. */
  readonly servedBytes: number;
  readonly upstreamBytes: number;
  /** From other nodes. */
  readonly peerBytes: number;
  readonly requests: number;
  /** Of these, answered from the cache, stale ones included. */
  readonly hits: number;
  /** Requests that shared the upstream work of another. */
  readonly coalesced: number;
  /** Answers with 429 or 5xx. */
  readonly failures: number;
}

/** Undefined where there was nothing. */
export interface Percentiles {
  readonly p50: number | undefined;
  readonly p90: number | undefined;
  readonly p99: number | undefined;
}

export interface UpstreamEffect {
  readonly name: string;
  readonly bytes: number;
  /** Those for tokens and redirected ones included. */
  readonly requests: number;
  /** Of these, without an answer, or with 429 or 5xx. */
  readonly errors: number;
}

/** Since the start. */
export interface EffectTotals extends Omit<EffectPoint, 'atMs'> {
  readonly upstreamRequests: number;
  /** Answers with content, whatever way it came. */
  readonly answers: number;
}
