import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { AppError } from '../core/errors.ts';

/** One thing that the admin listener does. GET stands for HEAD as well; every other method changes something. */
export interface AdminRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** A path; a segment `:name` stands for any one, and is given decoded as `params.name`. */
  readonly path: string;
  /** What it throws is answered in the form of OCI errors: an AppError as what it is, all else as 500 and a notice. */
  handler(request: AdminRequest): Answer | Promise<Answer>;
}

export interface AdminRequest {
  /** The address that the connection came from. */
  readonly client: string;
  readonly headers: IncomingHttpHeaders;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The JSON of a changing call, of 64 KiB at most; undefined where it has no body. */
  readonly body: unknown;
  /** Aborts when the client has gone, or the listener closes. */
  readonly signal: AbortSignal;
}

export type Answer = WholeAnswer | StreamAnswer;

export interface WholeAnswer {
  readonly status: number;
  /** Besides content-length; what is not said here is never cached. */
  readonly headers: AnswerHeaders;
  readonly body: string | Uint8Array;
}

export interface StreamAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  /** Writes the body and ends it, now or later. Not called for HEAD. */
  write(response: ServerResponse): void | Promise<void>;
}

export type AnswerHeaders = Readonly<Record<string, string | number>>;

export function jsonAnswer(status: number, value: unknown, headers: AnswerHeaders = {}): WholeAnswer {
  const contentType = { 'content-type': 'application/json; charset=utf-8' };
  return { status, headers: { ...contentType, ...headers }, body: `${JSON.stringify(value)}\n` };
}

/** In the form of the OCI distribution API's errors (distribution-spec, "Error Codes"). */
export function failureAnswer(status: number, code: string, message: string, headers: AnswerHeaders = {}): WholeAnswer {
  return jsonAnswer(status, { errors: [{ code, message, detail: {} }] }, headers);
}

/** The answer to a failure that somebody foresaw. */
export function errorAnswer({ status, ociCode, message, details, retryAfterMs }: AppError): WholeAnswer {
  const retryAfter = retryAfterMs === undefined ? {} : { 'retry-after': Math.ceil(retryAfterMs / 1000) };
  return jsonAnswer(status, { errors: [{ code: ociCode, message, detail: details }] }, retryAfter);
}

/** A query parameter that has to be there. Throws REQUEST_MALFORMED. */
export function requiredQuery(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value !== null && value !== '') return value;
  throw new AppError('REQUEST_MALFORMED', `the query parameter ${name} is missing`);
}
