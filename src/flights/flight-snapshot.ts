import type { Digest } from '../core/digest.ts';
import type { PassThroughEvent } from '../telemetry/channels.ts';
import type { FlightState } from './flight-state.ts';

/** One flight as operators see it (P12). */
export interface FlightSnapshot {
  readonly digest: Digest;
  readonly state: 'waiting' | 'pulling' | 'verifying' | 'done' | 'failed';
  /** What it waits for, in words, while `state` is `waiting`. */
  readonly waitingFor: string | undefined;
  readonly sizeBytes: number | undefined;
  readonly filledBytes: number;
  /** Why it is streamed through memory and not kept; undefined: it is kept. */
  readonly notKept: PassThroughEvent['cause'] | undefined;
  /** Ranges being filled now. */
  readonly ranges: readonly { readonly source: string; readonly start: number; readonly nextOffset: number }[];
  /** Responses that follow it. */
  readonly waiters: number;
  /** Sources it may read from. */
  readonly sources: readonly string[];
  /** Bytes that sources delivered, dropped ones included: what this flight cost so far. */
  readonly receivedBytes: number;
  /** Of these, those that came from other nodes. */
  readonly peerBytes: number;
  readonly rateBytesPerSecond: number;
  /** Requests for the body made so far. */
  readonly attempts: number;
  /** Of these, those to other nodes. */
  readonly peerAttempts: number;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly ageMs: number;
  readonly error: string | undefined;
}

/** What names a flight as long as the process runs: of one digest there is one at a time. */
export function flightId({ digest, startedAtMs }: Pick<FlightSnapshot, 'digest' | 'startedAtMs'>): string {
  return `${digest}@${startedAtMs}`;
}

/** Its state in the words of operators. */
export function shownState(state: FlightState): FlightSnapshot['state'] {
  switch (state.phase) {
    case 'opening':
      return 'waiting';
    case 'filling':
      return 'pulling';
    case 'verifying':
    case 'committing':
      return 'verifying';
    case 'done':
      return 'done';
    case 'failed':
    case 'parked':
      return 'failed';
  }
}
