import type { AppError } from '../core/errors.ts';
import type { FeedOptions } from './feed.ts';
import type { FillBody } from './fill-body.ts';
import type { Source } from './source.ts';
import type { SplitLimits } from './splitting.ts';

export interface FillingOptions extends FeedOptions {
  /** Ranges of one blob in flight at once, at most. */
  readonly maxRanges: number;
  /** Of these, how many may share the work of a large blob, at most. */
  readonly maxSplit: number;
  readonly split: SplitLimits;
  /** So long may a reader be kept waiting for its first byte before it is told why there is none. */
  readonly headerPatienceMs: number;
  /** So long without a byte is it tried again for those who have had some. */
  readonly outageTimeoutMs: number;
}

/** What readers wait for: the first byte one misses, and where its part ends (undefined: with the blob). */
export interface Want {
  readonly from: number;
  readonly to: number | undefined;
}

/** What a filling tells its flight. Calls are synchronous. */
export interface FillingHost {
  wants(body: FillBody): Want[];
  /** Responses that follow the flight. */
  readonly waiters: number;
  /** Other nodes read what comes. Their lines stand idle while it comes anywhere but at the beginning, and do not make up for it. */
  readonly isPassedOn: boolean;
  /** The longest that those who have had no byte can be made to wait now, in ms. */
  readonly patienceMs: number;
  /** As for those who have had some, and wait for the rest of a body; undefined where there are none. */
  readonly bodyPatienceMs: number | undefined;
  /** Those who have had no byte are told this; it goes on for the others. Undefined: nobody is any more. */
  denied(error: AppError | undefined): void;
  /** Bytes came, or the size became known: readers may go on. */
  progressed(): void;
  /** Every byte is there. Said once. */
  completed(): void;
  /** No source can bring what is missing. Said once. */
  gaveUp(error: AppError): void;
  /** The body has another size than it was opened for, or less than it has already; the filling has ended. */
  contradicted(error: AppError): void;
  /** Bytes came from a source, wanted or not. */
  received(bytes: number, source: Source): void;
  noted(event: 'range-opened' | 'source-failed', source: Source, error: AppError | undefined): void;
  /** Another attempt is made, at `source`, after one at `failed`. */
  retried(source: Source, failed: Source, cause: AppError): void;
}
