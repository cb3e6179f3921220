import { type Answer, dropped, errorAnswer, plainAnswer, type Stop } from '../../src/cli/demo/answer.ts';
import type { RegistryRequest } from '../../src/cli/demo/registry.ts';
import type { Gate } from './gate.ts';

type Shaped = Answer | typeof dropped;

/** Something that goes wrong with an answer. Offsets count from the start of the body that is sent, unless they say else. */
export type Fault = (answer: Answer, request: RegistryRequest) => Shaped | Promise<Shaped>;

/** Several at once, in order: `both(chunked(), cut(1000))`. */
export function both(...faults: readonly Fault[]): Fault {
  return async (answer, request) => {
    let shaped: Shaped = answer;
    for (const fault of faults) if (shaped !== dropped) shaped = await fault(shaped, request);
    return shaped;
  };
}

/** Nothing goes wrong: a place holder in a queue of faults. */
export function well(): Fault {
  return (answer) => answer;
}

/** The connection closes after exactly this many body bytes; with `reset`, by a TCP reset. */
export function cut(afterBytes: number, how: 'cut' | 'reset' = 'cut'): Fault {
  return stop({ atByte: afterBytes, reached: () => how });
}

/** The body stands still after this many bytes until the gate is released. */
export function stall(afterBytes: number, gate: Gate): Fault {
  return stop({ atByte: afterBytes, reached: () => gate.arrive().then(() => 'go' as const) });
}

/** No headers until the gate is released. */
export function slowHeaders(gate: Gate): Fault {
  return async (answer) => {
    await gate.arrive();
    return answer;
  };
}

/** The connection closes without an answer. */
export function drop(): Fault {
  return () => dropped;
}

/** One byte is wrong; every length and header is right. Nothing happens to a body that does not reach the byte. */
export function corrupt(atByte: number): Fault {
  return (answer) => {
    const body = Buffer.from(answer.body);
    if (atByte < body.length) body.writeUInt8(body.readUInt8(atByte) ^ 0xff, atByte);
    return { ...answer, body };
  };
}

/** Other bytes of the same size as a whole, under the same headers: what a manifest under a wrong digest looks like. */
export function replaced(body: Uint8Array): Fault {
  return (answer) => ({ ...answer, body, headers: { ...answer.headers, 'content-length': String(body.length) } });
}

/** A body of `bytes` with the Content-Length that matches it. */
export function short(bytes: number): Fault {
  return (answer) => {
    const body = answer.body.subarray(0, bytes);
    return { ...answer, body, headers: { ...answer.headers, 'content-length': String(body.length) } };
  };
}

/** Content-Length says `declared` whatever the body is. The connection closes after the body. */
export function wrongLength(declared: number): Fault {
  return (answer, request) => {
    const headers = { ...answer.headers, 'content-length': String(declared), connection: 'close' };
    return cut(answer.body.length)({ ...answer, headers }, request);
  };
}

/** No Content-Length: the body goes out chunked. */
export function chunked(): Fault {
  return withoutHeader('content-length');
}

/** The whole content with a 200, whatever Range was asked for. */
export function ignoreRange(): Fault {
  return (answer) => {
    if (answer.content === undefined) return answer;
    const { 'content-range': _, 'accept-ranges': __, ...headers } = answer.headers;
    const body = answer.content;
    return { ...answer, status: 200, start: 0, body, headers: { ...headers, 'content-length': String(body.length) } };
  };
}

export function withoutHeader(name: string): Fault {
  return (answer) => ({
    ...answer,
    headers: Object.fromEntries(Object.entries(answer.headers).filter(([n]) => n !== name)),
  });
}

export function withHeader(name: string, value: string): Fault {
  return (answer) => ({ ...answer, headers: { ...answer.headers, [name]: value } });
}

export function noDigestHeader(): Fault {
  return withoutHeader('docker-content-digest');
}

/** Another status with an error document as registries write it: 401, 403, 404, 405, 5xx. */
export function status(code: number, headers: Record<string, string> = {}): Fault {
  return () => errorAnswer(code, ociCodes[code] ?? 'UNAVAILABLE', headers);
}

/** 429; `retryAfter` is the header's value: seconds, or a date. */
export function rateLimited(retryAfter?: number | string): Fault {
  return status(429, retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) });
}

/** What a load balancer or a captive portal answers. */
export function html(code: number): Fault {
  const page = `<!DOCTYPE html><html><body><h1>${code}</h1></body></html>\n`;
  return () => plainAnswer(code, { 'content-type': 'text/html; charset=utf-8' }, page);
}

export function redirect(location: string, code = 307): Fault {
  return () => plainAnswer(code, { location });
}

const ociCodes: Readonly<Record<number, string>> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'MANIFEST_UNKNOWN',
  405: 'UNSUPPORTED',
  429: 'TOOMANYREQUESTS',
};

function stop(added: Stop): Fault {
  return (answer) => ({ ...answer, stops: [...answer.stops, added] });
}
