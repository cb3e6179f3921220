/**
 * Every way onepull fails, in one table: what a client is told (HTTP status, OCI error code of distribution-spec 1.1
 * section "Error Codes") and whether the same request may succeed if it is tried again.
 */
const table = {
  // The client's request.
  NAME_INVALID: { status: 400, oci: 'NAME_INVALID', retryable: false },
  DIGEST_INVALID: { status: 400, oci: 'DIGEST_INVALID', retryable: false },
  REQUEST_MALFORMED: { status: 400, oci: 'UNSUPPORTED', retryable: false },
  METHOD_UNSUPPORTED: { status: 405, oci: 'UNSUPPORTED', retryable: false },
  PATH_UNKNOWN: { status: 404, oci: 'UNSUPPORTED', retryable: false },
  REGISTRY_UNKNOWN: { status: 404, oci: 'NAME_UNKNOWN', retryable: false },
  IMAGE_UNKNOWN: { status: 404, oci: 'MANIFEST_UNKNOWN', retryable: false },
  PREHEAT_UNKNOWN: { status: 404, oci: 'UNSUPPORTED', retryable: false },
  IMAGE_KEPT: { status: 409, oci: 'DENIED', retryable: false },
  RANGE_UNSATISFIABLE: { status: 416, oci: 'SIZE_INVALID', retryable: false },
  HEADERS_TOO_LARGE: { status: 431, oci: 'UNSUPPORTED', retryable: false },
  REQUEST_TIMEOUT: { status: 408, oci: 'UNSUPPORTED', retryable: true },

  // What upstream said: it reaches the client as what it is (P6).
  NAME_UNKNOWN: { status: 404, oci: 'NAME_UNKNOWN', retryable: false },
  MANIFEST_UNKNOWN: { status: 404, oci: 'MANIFEST_UNKNOWN', retryable: false },
  BLOB_UNKNOWN: { status: 404, oci: 'BLOB_UNKNOWN', retryable: false },
  UPSTREAM_UNAUTHORIZED: { status: 401, oci: 'UNAUTHORIZED', retryable: false },
  UPSTREAM_DENIED: { status: 403, oci: 'DENIED', retryable: false },
  UPSTREAM_RATE_LIMITED: { status: 429, oci: 'TOOMANYREQUESTS', retryable: true },
  UPSTREAM_FAILED: { status: 502, oci: 'UNAVAILABLE', retryable: true },

  // What went wrong on the way.
  UPSTREAM_UNREACHABLE: { status: 502, oci: 'UNAVAILABLE', retryable: true },
  UPSTREAM_TIMEOUT: { status: 504, oci: 'UNAVAILABLE', retryable: true },
  UPSTREAM_STALLED: { status: 504, oci: 'UNAVAILABLE', retryable: true },
  UPSTREAM_INTERRUPTED: { status: 502, oci: 'UNAVAILABLE', retryable: true },
  UPSTREAM_INVALID: { status: 502, oci: 'UNAVAILABLE', retryable: false },
  UPSTREAM_REDIRECT_REFUSED: { status: 502, oci: 'UNAVAILABLE', retryable: false },
  CONTENT_MISMATCH: { status: 502, oci: 'DIGEST_INVALID', retryable: true },
  MANIFEST_TOO_LARGE: { status: 502, oci: 'MANIFEST_INVALID', retryable: false },
  PULL_DEADLINE: { status: 504, oci: 'UNAVAILABLE', retryable: true },
  HEADER_TIMEOUT: { status: 504, oci: 'UNAVAILABLE', retryable: true },

  // Ourselves.
  STORAGE_FULL: { status: 503, oci: 'UNAVAILABLE', retryable: true },
  STORAGE_FAILED: { status: 500, oci: 'UNKNOWN', retryable: true },
  STORAGE_LOCKED: { status: 503, oci: 'UNAVAILABLE', retryable: false },
  OVERLOADED: { status: 503, oci: 'UNAVAILABLE', retryable: true },
  /** Of the engine that nodes share: for ourselves, never a client's business (P11). */
  CLUSTER_UNAVAILABLE: { status: 503, oci: 'UNAVAILABLE', retryable: true },
  SHUTTING_DOWN: { status: 503, oci: 'UNAVAILABLE', retryable: true },
  LISTEN_FAILED: { status: 500, oci: 'UNKNOWN', retryable: false },
  CONFIG_INVALID: { status: 500, oci: 'UNKNOWN', retryable: false },
  CANCELLED: { status: 503, oci: 'UNAVAILABLE', retryable: true },
  INTERNAL: { status: 500, oci: 'UNKNOWN', retryable: false },
} as const satisfies Record<string, { status: number; oci: string; retryable: boolean }>;

export type ErrorCode = keyof typeof table;

export interface ErrorFacts {
  /** What led here; kept for logs, never sent to a client. */
  readonly cause?: unknown;
  /** Plain data for the client's `detail`. Never a credential, never a signed URL. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
  /** How long the one who refused us asked to be left alone, in ms. */
  readonly retryAfterMs?: number;
  /** The HTTP status upstream gave, where it goes on to the client unchanged (5xx). */
  readonly status?: number;
}

export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly ociCode: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, string | number | boolean>>;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    const row = table[code];
    this.code = code;
    this.status = facts.status ?? row.status;
    this.ociCode = row.oci;
    this.retryable = row.retryable;
    this.details = facts.details ?? {};
    this.retryAfterMs = facts.retryAfterMs;
  }
}

/** Somebody who could be asked has answered: what was asked for is not there, or not ours to have. */
export function isRefusal({ status }: AppError): boolean {
  return status === 401 || status === 403 || status === 404;
}

/** The same failure, told with another rest. */
export function withRetryAfter(error: AppError, retryAfterMs: number): AppError {
  const { code, message, status, details } = error;
  return new AppError(code, message, { cause: error, status, details, retryAfterMs });
}

/** Every code with its row, for the reference page and the tests that hold it to the code. */
export function errorTable(): Readonly<Record<ErrorCode, { status: number; oci: string; retryable: boolean }>> {
  return table;
}

/** The error as an `AppError`; what nobody foresaw becomes INTERNAL, an abort CANCELLED. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof Error && error.name === 'AbortError') {
    return error.cause instanceof AppError ? error.cause : new AppError('CANCELLED', 'cancelled', { cause: error });
  }
  const text = error instanceof Error ? error.message : String(error);
  return new AppError('INTERNAL', `internal error: ${text}`, { cause: error });
}
