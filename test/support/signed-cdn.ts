import { createHmac, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Answer, contentAnswer, errorAnswer } from '../../src/cli/demo/answer.ts';
import { Line } from '../../src/cli/demo/line.ts';
import { LoopbackServer } from '../../src/cli/demo/loopback-server.ts';
import type { RegistryRequest } from '../../src/cli/demo/registry.ts';
import { Tally } from '../../src/cli/demo/tally.ts';
import { send } from '../../src/cli/demo/transfer.ts';
import { systemClock } from '../../src/core/clock.ts';
import { type Digest, parseDigest } from '../../src/core/digest.ts';
import { cut, type Fault, redirect, well } from './faults.ts';
import type { Script } from './scripted-registry.ts';

export interface SignedCdnOptions {
  /** Where it listens on 127.0.0.1; a free port unless told. */
  readonly port?: number;
  /** What all connections together may get; unlimited unless told. */
  readonly bytesPerSecond?: number;
}

/**
 * Where a registry sends its clients for blobs: another origin, whose URLs are signed and expire, and which answers 403
 * to what is unsigned, expired or comes with an Authorization header (as S3 does).
 */
export class SignedCdn implements AsyncDisposable {
  readonly tally: Tally = new Tally();
  /** The fault of every request that the signature lets pass, where `next` has none. */
  script: Script | undefined;
  readonly #server: LoopbackServer;
  readonly #line: Line;
  readonly #key = randomBytes(16);
  readonly #blobs = new Map<Digest, Uint8Array>();
  readonly #faults: Fault[] = [];
  #epoch = 0;

  private constructor({ port, bytesPerSecond = Number.POSITIVE_INFINITY }: SignedCdnOptions) {
    this.#line = new Line(systemClock, bytesPerSecond);
    this.#server = new LoopbackServer((request, response) => this.#respond(request, response), port);
  }

  static async start(options: SignedCdnOptions = {}): Promise<SignedCdn> {
    const cdn = new SignedCdn(options);
    await cdn.#server.open();
    return cdn;
  }

  /** `127.0.0.1:<port>` */
  get host(): string {
    return this.#server.host;
  }

  /** For `registry.always({ kind: 'blob', method: 'GET' }, cdn.redirects())`: every found blob is to be had from here. */
  redirects(): Fault {
    return (answer, request) => {
      const { digest, content } = answer;
      if (digest === undefined || content === undefined) return answer;
      this.#blobs.set(digest, content);
      return redirect(this.#sign(digest))(answer, request);
    };
  }

  /** Every URL given so far is refused from now on; responses under way go on. */
  expireAll(): void {
    this.#epoch++;
  }

  /** The next requests that the signature lets pass get these, one each. */
  next(...faults: readonly Fault[]): void {
    this.#faults.push(...faults);
  }

  /** The next response is cut after so many bytes. */
  cutNext(afterBytes: number): void {
    this.next(cut(afterBytes));
  }

  /** Nobody listens and every connection is cut, until `comeBack`. */
  goAway(): Promise<void> {
    return this.#server.shut();
  }

  /** Listens again at the same port. */
  comeBack(): Promise<void> {
    return this.#server.open();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#line.close();
    await this.#server[Symbol.asyncDispose]();
  }

  #sign(digest: Digest): string {
    return `http://${this.host}/content/${digest}?epoch=${this.#epoch}&signature=${this.#signature(digest, this.#epoch)}`;
  }

  #signature(digest: Digest, epoch: number): string {
    return createHmac('sha256', this.#key).update(`${digest} ${epoch}`).digest('hex');
  }

  async #respond(message: IncomingMessage, response: ServerResponse): Promise<void> {
    message.resume();
    const url = new URL(message.url ?? '/', `http://${this.host}`);
    const digest = parseDigest(url.pathname.replace('/content/', ''));
    const method = message.method ?? 'GET';
    const { headers } = message;
    const record = { kind: 'blob' as const, method, repository: '', reference: digest ?? '', headers, status: 0 };
    this.tally.request(record);
    const content = digest && this.#blobs.get(digest);
    const isSigned = digest !== undefined && url.searchParams.get('signature') === this.#signature(digest, this.#epoch);
    let answer: Answer = errorAnswer(404, 'NOT_FOUND');
    if (!isSigned || headers.authorization !== undefined) answer = errorAnswer(403, 'ACCESS_DENIED');
    else if (content !== undefined)
      answer = contentAnswer({ digest, bytes: content, mediaType: 'application/octet-stream' }, headers.range);
    const request: RegistryRequest = { ...record, digest, query: url.searchParams, message, authorised: isSigned };
    const fault = isSigned ? (this.#faults.shift() ?? this.script?.(request)) : undefined;
    const shaped = await (fault ?? well())(answer, request);
    send({ line: this.#line, tally: this.tally }, record, response, shaped);
  }
}
