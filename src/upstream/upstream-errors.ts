import { AppError, type ErrorCode, type ErrorFacts } from '../core/errors.ts';
import { bareMediaType } from '../core/media-types.ts';
import type { UpstreamRequestKind } from '../telemetry/channels.ts';
import { untilResetMs } from './rate-limit.ts';

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Whom an error is about. `host` is all that is said of an address: paths and queries may be signed. */
export interface ErrorContext {
  readonly upstream: string;
  readonly host: string;
  readonly kind: UpstreamRequestKind;
}

const maxMessageLength = 300;
const noDescriptorsForMs = 1000;

/** What an answer outside 2xx means (P6: it reaches the client as what it is). */
export function statusError(
  context: ErrorContext,
  answer: { status: number; headers: ResponseHeaders; body: string | undefined; nowMs: number },
): AppError {
  const { status, headers } = answer;
  const said = answer.body === undefined ? undefined : readErrorBody(answer.body, headers['content-type']);
  const code = codeOf(context.kind, status, said?.code);
  const facts: ErrorFacts = { details: { upstream: context.upstream, upstreamStatus: status } };
  const retryAfterMs = status === 429 || status >= 500 ? readRetryAfter(headers, answer.nowMs) : undefined;
  const who =
    context.kind === 'token'
      ? `the token server ${context.host} of upstream ${context.upstream}`
      : `upstream ${context.upstream} (${context.host})`;
  const message = `${who} answered ${status}${said === undefined ? '' : `: ${said.message}`}`;
  return new AppError(code, message, {
    ...facts,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(status >= 500 && status <= 599 ? { status } : {}),
  });
}

function codeOf(kind: UpstreamRequestKind, status: number, ociCode: string | undefined): ErrorCode {
  if (status === 401) return 'UPSTREAM_UNAUTHORIZED';
  if (status === 402 || status === 403 || status === 451) return 'UPSTREAM_DENIED';
  if (status === 408) return 'UPSTREAM_TIMEOUT';
  if (status === 429) return 'UPSTREAM_RATE_LIMITED';
  if (status >= 500 && status <= 599) return 'UPSTREAM_FAILED';
  // A token server's other refusals are all of one kind: there is no token to be had.
  if (kind === 'token') return status >= 400 ? 'UPSTREAM_UNAUTHORIZED' : 'UPSTREAM_INVALID';
  if (status !== 404 && status !== 410) return 'UPSTREAM_INVALID';
  if (ociCode === 'NAME_UNKNOWN' || kind === 'tags') return 'NAME_UNKNOWN';
  return kind === 'blob' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN';
}

/**
 * How long a refusal asks us to wait, in ms: Retry-After (RFC 9110 section 10.2.3), which is seconds, or a date, which
 * counts from the sender's own Date; else until a limit that is used up begins anew.
 */
export function readRetryAfter(headers: ResponseHeaders, nowMs: number): number | undefined {
  const value = first(headers['retry-after'])?.trim() ?? '';
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, Number.MAX_SAFE_INTEGER);
  const untilMs = Date.parse(value);
  if (Number.isNaN(untilMs)) return untilResetMs(headers, nowMs);
  const sentMs = Date.parse(first(headers.date) ?? '');
  return Math.max(0, untilMs - (Number.isNaN(sentMs) ? nowMs : sentMs));
}

/** The reason in an error body: the OCI form, the OAuth2 form, or a line of plain text. HTML says nothing of use. */
function readErrorBody(
  body: string,
  contentType: string | string[] | undefined,
): { code: string | undefined; message: string } | undefined {
  const json = parseJson(body);
  if (json === undefined) {
    const plain = bareMediaType(first(contentType) ?? '') === 'text/plain' && !body.trimStart().startsWith('<');
    const message = plain ? cleanText(body) : '';
    return message === '' ? undefined : { code: undefined, message };
  }
  const list = Array.isArray(json.errors) ? json.errors : [];
  const error = (typeof list[0] === 'object' && list[0] !== null ? list[0] : json) as Record<string, unknown>;
  const code = typeof error.code === 'string' ? error.code : undefined;
  for (const key of ['message', 'error_description', 'details', 'detail', 'error', 'code']) {
    const value = error[key];
    const message = typeof value === 'string' ? cleanText(value) : '';
    if (message !== '') return { code, message };
  }
  return undefined;
}

function parseJson(text: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Others' text made fit for a log line: no control or formatting characters, no query strings, bounded. */
export function cleanText(text: string): string {
  const line = text
    .slice(0, 4 * maxMessageLength)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .replaceAll(/(https?:\/\/[^\s?"'<>]*)\?[^\s"'<>]*/gi, '$1')
    .trim();
  return line.length > maxMessageLength ? `${line.slice(0, maxMessageLength)}...` : line;
}

/**
 * The host that upstream redirected to refuses what upstream offered: a signed URL that has expired, or never held. It
 * says nothing of the content or of our rights; asked again, upstream signs anew.
 */
export function deadLinkError(context: ErrorContext, status: number): AppError {
  const message = `upstream ${context.upstream} led to ${context.host}, which answered ${status}`;
  return new AppError('UPSTREAM_FAILED', message, { details: { upstream: context.upstream, upstreamStatus: status } });
}

/** Answers of a host that upstream redirected to that make a `deadLinkError`. Google's storage says 400 of an expired URL. */
export const deadLinkStatuses: readonly number[] = [400, 401, 403, 404, 410];

/** What an exchange that brought no answer failed of. */
export function connectionError(context: ErrorContext, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = errorCodeOf(error);
  const who = `upstream ${context.upstream} (${context.host})`;
  const facts: ErrorFacts = { cause: error, details: { upstream: context.upstream } };
  if (isDescriptorLack(error)) {
    const message = `${who} was not dialled: this process has no file descriptor left (${code})`;
    return new AppError('OVERLOADED', message, { ...facts, retryAfterMs: noDescriptorsForMs });
  }
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') {
    return new AppError('UPSTREAM_TIMEOUT', `connecting to ${who} took too long`, facts);
  }
  if ((error instanceof Error && error.name === 'HTTPParserError') || code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new AppError('UPSTREAM_INVALID', `${who} does not speak HTTP as it should`, facts);
  }
  return new AppError('UPSTREAM_UNREACHABLE', `${who} cannot be reached: ${describe(code, error)}`, facts);
}

/** Whether it failed of our own lack of file descriptors: that says nothing of whom we wanted to ask. */
export function isDescriptorLack(error: unknown): boolean {
  if (error instanceof AppError) return error.code === 'OVERLOADED' && isDescriptorLack(error.cause);
  return ['EMFILE', 'ENFILE'].includes(errorCodeOf(error));
}

/** A body that broke off. */
export function interruptedError(context: ErrorContext, error?: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = error === undefined ? 'too short' : errorCodeOf(error) || 'broken off';
  const message = `upstream ${context.upstream} (${context.host}) ended the body early (${code})`;
  return new AppError('UPSTREAM_INTERRUPTED', message, { cause: error, details: { upstream: context.upstream } });
}

export function invalidError(context: ErrorContext, what: string): AppError {
  return new AppError('UPSTREAM_INVALID', `upstream ${context.upstream} (${context.host}) ${what}`, {
    details: { upstream: context.upstream },
  });
}

/** The caller's own end of a wait. */
export function cancelled(signal: AbortSignal): AppError {
  return signal.reason instanceof AppError
    ? signal.reason
    : new AppError('CANCELLED', 'cancelled', { cause: signal.reason });
}

/** The system's code; where several addresses were tried, the first one's. */
function errorCodeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorCodeOf(error.errors[0]);
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function describe(code: string, error: unknown): string {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'ENODATA') return `DNS does not resolve it (${code})`;
  if (code === 'ECONNREFUSED') return 'the connection was refused';
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return `there is no route (${code})`;
  const message = error instanceof Error ? cleanText(error.message) : 'unknown';
  if (isTlsCode(code)) return `TLS failed: ${message} (${code})`;
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'UND_ERR_SOCKET') return 'the connection was closed';
  return `${message}${code === '' ? '' : ` (${code})`}`;
}

function isTlsCode(code: string): boolean {
  return /^(ERR_TLS|ERR_SSL|EPROTO$|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_CA)/.test(code);
}

function first(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}
