import type { Interval } from '../../core/byte-range.ts';
import { AppError, asAppError, type ErrorCode } from '../../core/errors.ts';
import type {
  BlobLease,
  BlobRequest,
  HitNote,
  ListAnswer,
  ManifestAnswer,
  ManifestRequest,
  ReferrersRequest,
  Served,
  TagsRequest,
} from '../../pull/depot.ts';

/**
 * What a gateway's thread and the depot's say to each other: plain data, shared memory, and bytes that change hands. A call
 * has a number, which its answer repeats; a body goes by the number of the call that it was the answer to.
 */
export type ToDepot =
  | { readonly kind: 'ask'; readonly call: number; readonly question: Question }
  /** Nobody waits for the answer any more. */
  | { readonly kind: 'abort'; readonly call: number; readonly reason: PlainError }
  | { readonly kind: 'close'; readonly body: number }
  /** Where readers wait for a fill to come, each a body and an offset. */
  | { readonly kind: 'sleeps'; readonly at: readonly (readonly [body: number, offset: number])[] }
  | { readonly kind: 'hits'; readonly notes: readonly HitNote[] };

export type FromDepot =
  | { readonly kind: 'answer'; readonly call: number; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly call: number; readonly error: PlainError };

export type Question =
  | { readonly about: 'manifest'; readonly request: ManifestRequest }
  | { readonly about: 'blob'; readonly request: BlobRequest }
  | { readonly about: 'tags'; readonly request: TagsRequest }
  | { readonly about: 'referrers'; readonly request: ReferrersRequest }
  | { readonly about: 'repositories'; readonly after: string | undefined; readonly limit: number }
  /** `whenReadable`; of a window up to `maxBytes` come along. */
  | { readonly about: 'readable'; readonly body: number; readonly offset: number; readonly maxBytes: number }
  | {
      readonly about: 'unreadable';
      readonly body: number;
      readonly offset: number;
      readonly error: PlainError;
    };

export type Answer =
  | { readonly about: 'manifest'; readonly manifest: ManifestAnswer }
  | { readonly about: 'list'; readonly list: ListAnswer }
  | { readonly about: 'repositories'; readonly names: readonly string[]; readonly more: boolean }
  | { readonly about: 'blob'; readonly blob: PlainBlobAnswer }
  | { readonly about: 'body'; readonly state: BodyState };

/** `BlobAnswer`, with the body as it is at this moment. */
export type PlainBlobAnswer =
  | { readonly kind: 'head'; readonly sizeBytes: number | undefined; readonly served: Served }
  | { readonly kind: 'unsatisfiable'; readonly sizeBytes: number }
  | {
      readonly kind: 'body';
      readonly sizeBytes: number | undefined;
      readonly part: Interval | undefined;
      readonly served: Served;
      readonly lease: BlobLease | undefined;
      readonly state: BodyState;
    };

/** A body as it is when it is asked at `from`. */
export interface BodyState {
  readonly start: number;
  readonly end: number | undefined;
  readonly from: number;
  /** Bytes from `from` up to here can be read; `from` itself where none can. Then `storage` may be undefined. */
  readonly readable: number;
  readonly storage: PlainStorage | undefined;
  /** Where the fill that it follows says more. */
  readonly mark: SharedPart | undefined;
}

export type PlainStorage =
  | {
      readonly kind: 'file';
      readonly fd: number;
      readonly fileId: number | undefined;
      readonly sizeBytes: number | undefined;
    }
  | { readonly kind: 'shared'; readonly memory: SharedPart; readonly start: number; readonly length: number }
  /** A copy of what can be read, which begins at `from`. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer> };

/** Memory of both threads. Each message makes an object of its own of it: by the number it is known again. */
export interface SharedPart {
  readonly id: number;
  readonly buffer: SharedArrayBuffer;
}

/** An `AppError`, without its cause's objects. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly status: number;
  readonly details: AppError['details'];
  readonly retryAfterMs: number | undefined;
  /** What led there, in words, for the log. */
  readonly cause: string | undefined;
}

export function plainError(thrown: unknown): PlainError {
  const error = asAppError(thrown);
  const { code, message, status, details, retryAfterMs, cause } = error;
  return { code, message, status, details, retryAfterMs, cause: causeText(cause) };
}

export function errorOf({ code, message, status, details, retryAfterMs, cause }: PlainError): AppError {
  return new AppError(code, message, {
    status,
    details,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(cause !== undefined && { cause: new Error(cause) }),
  });
}

function causeText(cause: unknown): string | undefined {
  if (cause === undefined || cause === null) return undefined;
  return cause instanceof Error ? cause.message : String(cause);
}
