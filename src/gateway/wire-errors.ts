import type { AppError } from '../core/errors.ts';
import { STATUS_CODES } from '../core/node-http.ts';

/** An error as it goes out: flat header list, JSON body. */
export interface WireError {
  readonly status: number;
  readonly headers: string[];
  readonly body: Buffer;
}

/** Every response says which API it speaks (distribution-spec, "Legacy Docker support HTTP headers"). */
export const apiVersion = ['Docker-Distribution-Api-Version', 'registry/2.0'] as const;

/**
 * The only place where errors take the form of distribution-spec "Error Codes". What a client is shown is the error's
 * message and details; its cause stays here, and of what nobody foresaw only the request's id goes out.
 */
export function wireErrorOf(error: AppError, requestId: string): WireError {
  const hidden = error.code === 'INTERNAL';
  const body = Buffer.from(
    JSON.stringify({
      errors: [
        {
          code: error.ociCode,
          message: hidden ? `internal error; the log has it under request ${requestId}` : error.message,
          detail: hidden ? { requestId } : error.details,
        },
      ],
    }),
  );
  const headers = [
    ...apiVersion,
    'Content-Type',
    'application/json',
    'Content-Length',
    String(body.length),
    'Cache-Control',
    'no-store',
  ];
  addFields(headers, error);
  return { status: error.status, headers, body };
}

function addFields(headers: string[], error: AppError): void {
  if (error.retryAfterMs !== undefined) {
    headers.push('Retry-After', String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))));
  }
  if (error.status === 401) {
    // RFC 9110 section 15.5.2: a 401 has a challenge, though no credentials of a client's would change upstream's mind.
    const upstream = error.details.upstream ?? error.details.registry ?? 'onepull';
    headers.push('WWW-Authenticate', `Basic realm="${String(upstream).replaceAll(/[^\x20-\x7e]|["\\]/g, '_')}"`);
  }
  if (error.code === 'METHOD_UNSUPPORTED') headers.push('Allow', 'GET, HEAD');
  if (error.status === 416 && error.details.sizeBytes !== undefined) {
    headers.push('Content-Range', `bytes */${error.details.sizeBytes}`);
  }
}

/** The error as the bytes of a whole response, for connections on which no request could be read. */
export function rawWireError(error: AppError, requestId: string): Buffer {
  const { status, headers, body } = wireErrorOf(error, requestId);
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\nConnection: close\r\n`;
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`;
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), body]);
}
