import type { AppError } from '../core/errors.ts';

/**
 * Something that a flight can read ranges of one blob from: an upstream endpoint, a peer. The flight decides what to
 * read and when to try again; a source makes one attempt.
 */
export interface Source {
  /** For people: logs, the API, the dashboard. Sources of equal name are one and the same. */
  readonly name: string;
  /** Whose bytes these are, for accounting and for clients to read: the upstream's name, or that it is a peer. */
  readonly origin: string;
  /** How good a choice it is at this moment, as whoever watches it judges. Looked at whenever there is a choice. */
  standing(): SourceStanding;
  /**
   * Asks for the bytes of a range. Rejects with an `AppError` that says what happened; `signal` aborts the waiting, the
   * attempt and, later, the body.
   */
  open(request: SourceRequest, signal: AbortSignal): Promise<SourceBody>;
  /** What it delivered turned out to be wrong (P4). */
  discredit(error: AppError): void;
  /** Of an upstream, for logs and traces: `registry/repository`, and the endpoint's host. */
  readonly place?: { readonly repository: string; readonly endpoint: string };
  /** Another node: what becomes of it says nothing of the blob, which an upstream has or has not. */
  readonly isPeer?: boolean;
  /** Told what a flight holds against it: an attempt that failed, or a transfer that was too slow. */
  failed?(error: AppError): void;
}

export interface SourceStanding {
  /** So long it is better left alone, in ms: it is known to be down, or asked for a rest. 0: it may be asked now. */
  readonly restMs: number;
  /** Why it rests, for people: `docker.io limits us`. */
  readonly restReason: string | undefined;
  /** The less the better. Equal for sources that are as good as each other: then the order in which they came counts. */
  readonly cost: number;
  /** Whether one more connection takes nothing from anybody else who waits for this source. */
  readonly hasRoom: boolean;
  /** For so long all that anybody asked of it has failed, in ms. Left out, or 0: it is not known to be down. */
  readonly outageMs?: number;
}

export interface SourceRequest {
  readonly start: number;
  /** Excluded; undefined: to the last byte. */
  readonly end: number | undefined;
  /** One more connection beside others that already bring this blob: rejected with OVERLOADED rather than queued. */
  readonly optional: boolean;
  /** For a fair turn among requests that wait: looked at whenever one is let in. */
  readonly urgency: () => Urgency;
  /** Whether another source could bring these bytes now: then one that turns out to be down is not waited for. */
  readonly hasAlternative: () => boolean;
  /** Told what the request waits for, in words, before it is sent; undefined: for the answer. */
  readonly waiting: (reason: string | undefined) => void;
}

export interface Urgency {
  /** Responses that wait for these bytes. */
  readonly waiters: number;
  /** What is still to come of the blob, in bytes; undefined where nobody knows. */
  readonly missingBytes: number | undefined;
}

export interface SourceBody {
  /** Where the bytes begin. 0 although a later start was asked: the source does not serve ranges. */
  readonly start: number;
  /** The whole blob comes, although less was asked for: the source does not serve ranges. */
  readonly isWhole?: boolean;
  /** The size of the whole blob in bytes, where the source says it. */
  readonly blobSizeBytes: number | undefined;
  /** The bytes; who takes a chunk may do with its memory what it likes (`giveBack`). Ends by throwing an `AppError` when they are cut short. Leaving the loop early ends the transfer. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /**
   * Before the first chunk: has them lent, in memory that the source uses again. Each is to be given back then, in order, by the
   * number of its bytes, and looked at no more; or no more come. Undefined: they are not lent.
   */
  readonly lend?: () => ((bytes: number) => void) | undefined;
}

/** How long to wait before the next attempt, or undefined to give up. Pure; the app decides which policy. */
export type RetryPolicy = (failure: RetrySituation) => number | undefined;

export interface RetrySituation {
  readonly retryable: boolean;
  /** Failed attempts in a row without a byte of progress, this one included. */
  readonly attempt: number;
  /** What the refusing side asked for, in ms. */
  readonly retryAfterMs: number | undefined;
  /** The longest rest that those who wait can be made to wait for, in ms. Without it: any. */
  readonly patienceMs?: number;
  /** So much longer it is too early to give up, however many attempts have failed, in ms. */
  readonly persistMs?: number;
  /** It is known to be down: one attempt is enough to tell whether it is back. */
  readonly isDown?: boolean;
}
