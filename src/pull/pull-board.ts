import type { Digest } from '../core/digest.ts';

/** One image that was asked for lately, as operators see it (P12). */
export interface PullSnapshot {
  /** `registry/repository:tag` or `registry/repository@digest`. */
  readonly image: string;
  readonly manifest: Digest;
  readonly state: 'waiting' | 'pulling' | 'verifying' | 'done' | 'failed';
  readonly sizeBytes: number;
  readonly filledBytes: number;
  /** Responses that wait for one of its layers now, and the clients behind them (at most 20 named). */
  readonly waiters: number;
  readonly clients: readonly string[];
  /** Clients that asked for it since it was first asked for. */
  readonly pulls: number;
  /** Requests and body bytes that it cost upstream. */
  readonly upstreamRequests: number;
  readonly upstreamBytes: number;
  readonly firstAskedAtMs: number;
  readonly lastAskedAtMs: number;
  readonly layers: readonly LayerSnapshot[];
}

export interface LayerSnapshot {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly state: 'missing' | 'waiting' | 'pulling' | 'verifying' | 'done' | 'failed';
  readonly waitingFor: string | undefined;
  readonly filledBytes: number;
  readonly waiters: number;
  readonly upstreamBytes: number;
  readonly error: string | undefined;
}
