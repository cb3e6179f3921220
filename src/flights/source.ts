/**
 * Something that a flight can read ranges of one blob from: an upstream endpoint, a peer. The flight decides what to
 * read and when to try again; a source makes one attempt.
 */
export interface Source {
  /** For people: logs, the API, the dashboard. Sources of equal name are one and the same. */
  readonly name: string;
  /** Whose bytes these are, for accounting: the upstream's or the peer's name. */
  readonly origin: string;
  /**
   * Asks for bytes from `start` to `end` (excluded; undefined: to the last). Rejects with an `AppError` that says what
   * happened; `signal` aborts the attempt and, later, the body.
   */
  open(start: number, end: number | undefined, signal: AbortSignal): Promise<SourceBody>;
}

export interface SourceBody {
  /** Where the bytes begin. 0 although a later start was asked: the source does not serve ranges. */
  readonly start: number;
  /** The size of the whole blob in bytes, where the source says it. */
  readonly blobSizeBytes: number | undefined;
  /** The bytes. Ends by throwing an `AppError` when they are cut short. Leaving the loop early ends the transfer. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** How long to wait before the next attempt, or undefined to give up. Pure; the app decides which policy. */
export type RetryPolicy = (failure: RetrySituation) => number | undefined;

export interface RetrySituation {
  readonly retryable: boolean;
  /** Failed attempts in a row without a byte of progress, this one included. */
  readonly attempt: number;
  /** What the refusing side asked for, in ms. */
  readonly retryAfterMs: number | undefined;
}
