import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, systemClock, type Timer } from '../../core/clock.ts';
import { ociIndex } from '../../core/media-types.ts';
import { type Answer, contentAnswer, type dropped, errorAnswer, jsonAnswer, plainAnswer } from './answer.ts';
import { Gatekeeper, type RegistryAuth } from './gatekeeper.ts';
import { Line } from './line.ts';
import { LoopbackServer } from './loopback-server.ts';
import { Repositories } from './repositories.ts';
import { type Route, routeOf } from './route.ts';
import { Tally } from './tally.ts';
import { send } from './transfer.ts';

export interface DemoRegistryOptions {
  readonly auth?: RegistryAuth;
  /** What all connections together may get; unlimited unless told. */
  readonly bytesPerSecond?: number;
  /** What each connection may get by itself, as many CDNs have it; as much as the line gives unless told. */
  readonly connectionBytesPerSecond?: number;
  /** Where it listens on 127.0.0.1; a free port unless told. */
  readonly port?: number;
  /** Instead of 127.0.0.1: for clients in other networks of this machine. */
  readonly address?: string;
  /** How long every request waits for its headers. */
  readonly latencyMs?: number;
  readonly clock?: Clock;
}

/** A request with what was read off it. */
export interface RegistryRequest extends Route {
  readonly method: string;
  readonly message: IncomingMessage;
  /** False where the registry refuses it for want of a token or a password. */
  readonly authorised: boolean;
}

/**
 * A small well-behaved registry on loopback (distribution-spec 1.1, reading only), its content in memory, behind one
 * line whose speed all connections share, and with a tally of what it was asked for and what it sent.
 */
export class DemoRegistry implements AsyncDisposable {
  readonly content: Repositories = new Repositories();
  readonly tally: Tally = new Tally();
  protected readonly server: LoopbackServer;
  protected readonly line: Line;
  readonly #clock: Clock;
  readonly #latencyMs: number;
  readonly #connectionBytesPerSecond: number | undefined;
  readonly #connectionLines = new Map<Socket, Line>();
  readonly #gatekeeper: Gatekeeper;
  readonly #delays = new Set<Timer>();

  protected constructor(options: DemoRegistryOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#latencyMs = options.latencyMs ?? 0;
    this.#connectionBytesPerSecond = options.connectionBytesPerSecond;
    this.#gatekeeper = new Gatekeeper(options.auth ?? { kind: 'none' }, () => this.#clock.now());
    this.line = new Line(this.#clock, options.bytesPerSecond ?? Number.POSITIVE_INFINITY);
    this.server = new LoopbackServer(
      (request, response) => this.#accept(request, response),
      options.port,
      options.address,
    );
  }

  static async start(options: DemoRegistryOptions = {}): Promise<DemoRegistry> {
    const registry = new DemoRegistry(options);
    await registry.server.open();
    return registry;
  }

  /** `127.0.0.1:<port>` */
  get host(): string {
    return this.server.host;
  }

  /** `http://127.0.0.1:<port>` */
  get url(): string {
    return `http://${this.server.host}`;
  }

  /** Every token given so far is refused from now on. */
  revokeTokens(): void {
    this.#gatekeeper.revokeAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const delay of this.#delays) delay.clear();
    this.line.close();
    for (const line of this.#connectionLines.values()) line.close();
    await this.server[Symbol.asyncDispose]();
  }

  /** What becomes of an answer before it is sent: here nothing. Test registries misbehave from here. */
  protected async shape(answer: Answer, _request: RegistryRequest): Promise<Answer | typeof dropped> {
    return answer;
  }

  #accept(message: IncomingMessage, response: ServerResponse): void {
    message.resume();
    if (this.#latencyMs === 0) {
      this.#respond(message, response);
      return;
    }
    const delay = this.#clock.after(this.#latencyMs, () => {
      this.#delays.delete(delay);
      this.#respond(message, response);
    });
    this.#delays.add(delay);
  }

  async #respond(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = routeOf(message.url ?? '/');
    const { kind, repository, reference } = route;
    const method = message.method ?? 'GET';
    const record = { kind, method, repository, reference, headers: message.headers, status: 0 };
    this.tally.request(record);
    const refusal = this.#gatekeeper.refuse(message, route);
    const request = { ...route, method, message, authorised: refusal === undefined };
    const answer = await this.shape(refusal ?? this.#answer(request), request);
    send({ line: this.#lineOf(message.socket), tally: this.tally }, record, response, answer);
  }

  /** What limits this connection most: its own speed where each has one, else the line that all share. */
  #lineOf(socket: Socket): Line {
    if (this.#connectionBytesPerSecond === undefined) return this.line;
    const known = this.#connectionLines.get(socket);
    if (known !== undefined) return known;
    const line = new Line(this.#clock, this.#connectionBytesPerSecond);
    this.#connectionLines.set(socket, line);
    socket.once('close', () => {
      line.close();
      this.#connectionLines.delete(socket);
    });
    return line;
  }

  #answer(request: RegistryRequest): Answer {
    if (request.kind === 'token') return this.#gatekeeper.grant(request.message, request);
    if (request.method !== 'GET' && request.method !== 'HEAD') return errorAnswer(405, 'UNSUPPORTED');
    if (request.kind === 'ping') {
      return jsonAnswer(200, {}, { 'docker-distribution-api-version': 'registry/2.0' });
    }
    if (request.kind === 'other') return errorAnswer(404, 'UNSUPPORTED');
    if (!this.content.has(request.repository)) return errorAnswer(404, 'NAME_UNKNOWN');
    if (request.kind === 'manifest') return this.#manifest(request);
    if (request.kind === 'blob') return this.#blob(request);
    return request.kind === 'tags' ? this.#tags(request) : this.#referrers(request);
  }

  #manifest({ repository, reference }: RegistryRequest): Answer {
    const manifest = this.content.manifest(repository, reference);
    return manifest === undefined ? errorAnswer(404, 'MANIFEST_UNKNOWN') : contentAnswer(manifest, undefined);
  }

  #blob({ repository, digest, message }: RegistryRequest): Answer {
    const blob = digest && this.content.blob(repository, digest);
    if (blob === undefined) return errorAnswer(404, 'BLOB_UNKNOWN');
    return contentAnswer({ ...blob, mediaType: 'application/octet-stream' }, message.headers.range);
  }

  #tags({ repository, query }: RegistryRequest): Answer {
    const last = query.get('last') ?? '';
    const limit = Number(query.get('n') ?? Number.POSITIVE_INFINITY);
    const after = this.content.tags(repository).filter((tag) => tag > last);
    const tags = after.slice(0, limit);
    const next = `</v2/${repository}/tags/list?n=${limit}&last=${tags.at(-1) ?? ''}>; rel="next"`;
    return jsonAnswer(200, { name: repository, tags }, tags.length < after.length && limit > 0 ? { link: next } : {});
  }

  #referrers({ repository, digest, query }: RegistryRequest): Answer {
    if (digest === undefined) return errorAnswer(400, 'DIGEST_INVALID');
    const artifactType = query.get('artifactType') ?? undefined;
    const filters: Record<string, string> = artifactType === undefined ? {} : { 'oci-filters-applied': 'artifactType' };
    const index = this.content.referrers(repository, digest, artifactType);
    return plainAnswer(200, { 'content-type': ociIndex, ...filters }, index);
  }
}
