import { STATUS_CODES } from '../../core/node-http.ts';
import type { RequestCell } from '../../telemetry/channels.ts';
import type { WholeResponse } from '../manifest-response.ts';

/** Up to here a copy behind the head costs less than a second piece to write. */
export const mostCopiedBytes = 16 * 1024;

/**
 * A whole response as bytes, the same that node:http writes for it on a connection that is kept; only the date changes. A
 * short body stands behind the head, in one piece with it.
 *
 * Invariant: bytes that a socket still holds are never written to: while somebody `holds` them, a new date is put into a
 * copy.
 */
export class PreparedResponse {
  readonly status: number;
  readonly bodyBytes: number;
  /** What is to be written behind what `at` gives. */
  readonly body: Uint8Array | undefined;
  /** Where answers with it are counted, once that is known. */
  cell: RequestCell | undefined;
  #bytes: Buffer;
  readonly #dateAt: number;
  #second = Number.NaN;
  #holders = 0;

  /** `keepAlive`: the Keep-Alive header line, or nothing. */
  constructor({ status, headers, bytes }: WholeResponse, keepAlive: string) {
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
    for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`;
    head += 'Date: ';
    const tail = `\r\nConnection: keep-alive\r\n${keepAlive}\r\n`;
    this.status = status;
    this.bodyBytes = bytes?.length ?? 0;
    this.#dateAt = head.length;
    const text = `${head}${httpDate(0)}${tail}`;
    const copied = this.bodyBytes <= mostCopiedBytes ? bytes : undefined;
    this.body = copied === undefined ? bytes : undefined;
    // Memory of its own: what is held for clients is counted by what it is part of.
    this.#bytes = Buffer.allocUnsafeSlow(text.length + (copied?.length ?? 0));
    this.#bytes.write(text, 'latin1');
    if (copied !== undefined) this.#bytes.set(copied, text.length);
  }

  /** What to write at this time, in milliseconds since the epoch. */
  at(nowMs: number): Buffer {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) this.#date(second);
    return this.#bytes;
  }

  /** A socket has what `at` last gave, and is not done with it; until the returned function is called. */
  hold(): () => void {
    const held = this.#bytes;
    this.#holders++;
    return () => {
      if (held === this.#bytes) this.#holders--;
    };
  }

  #date(second: number): void {
    if (this.#holders > 0) {
      const copy = Buffer.allocUnsafeSlow(this.#bytes.length);
      copy.set(this.#bytes);
      this.#bytes = copy;
      this.#holders = 0;
    }
    this.#second = second;
    this.#bytes.write(httpDate(second * 1000), this.#dateAt, 'latin1');
  }
}

/** RFC 9110 section 5.6.7: always as long as any other. */
function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}
