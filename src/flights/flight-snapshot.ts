import type { Digest } from '../core/digest.ts';

/** One flight as operators see it (P12). */
export interface FlightSnapshot {
  readonly digest: Digest;
  readonly state: 'waiting' | 'pulling' | 'verifying' | 'done' | 'failed';
  /** What it waits for, in words, while `state` is `waiting`. */
  readonly waitingFor: string | undefined;
  readonly sizeBytes: number | undefined;
  readonly filledBytes: number;
  /** Ranges being filled now. */
  readonly ranges: readonly { readonly source: string; readonly start: number; readonly nextOffset: number }[];
  /** Responses that follow it. */
  readonly waiters: number;
  /** Sources it may read from. */
  readonly sources: readonly string[];
  /** Bytes that sources delivered, dropped ones included: what this flight cost so far. */
  readonly receivedBytes: number;
  readonly rateBytesPerSecond: number;
  /** Requests for the body made so far. */
  readonly attempts: number;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly ageMs: number;
  readonly error: string | undefined;
}
