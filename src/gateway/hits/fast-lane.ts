import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import { referenceText } from '../../core/reference.ts';
import { type RequestTrace, traceRequest } from '../../core/tracing.ts';
import type { Channels, RequestEvent, RequestTally } from '../../telemetry/channels.ts';
import type { Admission } from '../admission.ts';
import type { Connection } from '../connection.ts';
import type { ConnectionTable } from '../connection-table.ts';
import type { Exchange } from '../exchange.ts';
import { manifestForm } from '../manifest-response.ts';
import type { QueuedBytes } from '../queued-bytes.ts';
import { originFormOf } from '../route.ts';
import type { Hits } from './hit-depot.ts';
import { isPlain, type JudgedHead, JudgedHeads } from './judged-heads.ts';
import type { KnownAnswer } from './known-manifests.ts';
import { LaneConnection } from './lane-connection.ts';
import { takeOver } from './node-internals.ts';
import type { PreparedResponse } from './prepared-response.ts';

export interface FastLaneDeps {
  readonly hits: Hits;
  readonly clock: Clock;
  readonly channels: Channels;
  readonly tally: RequestTally;
  readonly random: () => number;
  readonly admission: Admission;
  readonly connections: ConnectionTable;
  readonly queued: QueuedBytes;
  /** A response has to wait for its client; it is over. */
  begun(): void;
  over(): void;
  nextId(): string;
}

export interface FastLaneOptions {
  readonly clientTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** One of so many requests is traced. Undefined: none are. */
  readonly traceOneIn?: number | undefined;
}

/** Larger responses are handed over in slices: node:http's way. */
const maxResponseBytes = 256 * 1024;

/** A response that is handed to a socket. */
export interface LaneAnswer {
  readonly head: JudgedHead;
  readonly response: PreparedResponse;
  readonly client: string;
  readonly arrivedMs: number;
  readonly trace: RequestTrace | undefined;
}

/**
 * Answers requests whose head is byte for byte one that node:http has parsed and the handler has answered, and whose
 * answer is still known: with one look-up and one write. node:http stays the judge of everything else, and sees nothing of
 * these.
 *
 * Invariants
 * - Nothing is parsed here. A head is taken for what node:http found the same bytes to be, at the same place: where a
 *   request begins (`LaneConnection` knows whether that is so).
 * - A response is written only where none is under way on the connection, all that was written before is with the kernel,
 *   and the request would be admitted. One that the kernel does not take at once counts as under way, is held and timed as
 *   any other, until it is taken or the connection has closed.
 * - Once closed nothing is answered here any more: what comes goes to node:http, which says that the connection ends.
 * - Each answer is counted as any other is.
 */
export class FastLane {
  readonly deps: FastLaneDeps;
  readonly options: FastLaneOptions;
  /** How many requests were answered here. */
  answers = 0;
  readonly #heads = new JudgedHeads();
  readonly #keepAlive: string;
  readonly #waiting = new Set<LaneConnection>();
  #closed = false;
  #hasWarned = false;

  constructor(deps: FastLaneDeps, options: FastLaneOptions) {
    this.deps = deps;
    this.options = options;
    const seconds = Math.floor(options.keepAliveTimeoutMs / 1000);
    this.#keepAlive = options.keepAliveTimeoutMs > 0 ? `Keep-Alive: timeout=${seconds}\r\n` : '';
  }

  /** Lets the socket's requests pass here first. To be called once node:http listens to it. */
  attach(socket: Socket, connection: Connection): void {
    const theirs = takeOver(socket);
    if (theirs === undefined) return this.#warn();
    connection.lane = new LaneConnection(this, socket, connection, theirs);
  }

  /** Answers nothing any more. */
  close(): void {
    this.#closed = true;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sockets with a response that the kernel has not taken yet. */
  *waiting(): Iterable<Socket> {
    for (const { socket } of this.#waiting) yield socket;
  }

  /** An exchange of node:http's is over: the same bytes ask the same from now on, if its answer may be given again. */
  learn({ text, judged, request }: Exchange): void {
    if (text === undefined || judged === undefined || this.#heads.get(text) !== undefined) return;
    const { hits } = this.deps;
    const { route, ask } = judged;
    const { scope, reference } = ask;
    const isBlob = route === 'blob' && reference.kind === 'digest';
    const key = isBlob ? hits.blobKey(scope, reference.digest) : hits.manifestKey(ask);
    if (key === undefined || !isPlain(text, request)) return;
    const told = { path: originFormOf(request.url ?? ''), named: referenceText(reference) };
    const head = { ...judged, key, ...told, userAgent: request.headers['user-agent'] };
    if (this.#known(head) !== undefined) this.#heads.add(text, head);
  }

  /** Answers, if it can do so at once; says whether it has. The caller knows that a request begins with this text. */
  answer(text: string, lane: LaneConnection): boolean {
    if (this.#closed) return false;
    const head = this.#heads.get(text);
    if (head === undefined) return false;
    const { hits, clock, admission } = this.deps;
    const known = this.#known(head);
    if (known === undefined) return false;
    const { method } = head.ask;
    if (head.noted === 'GET' && known.answer.bytes === undefined) return false;
    const response = responseTo(head, known, this.#keepAlive);
    if (response === undefined || response.bodyBytes > maxResponseBytes) return false;
    if (admission.enter(method === 'HEAD' ? 'head' : 'body') !== undefined) return false;
    const arrivedMs = clock.monotonic();
    this.answers++;
    hits.given(known, head.noted);
    const nowMs = clock.now();
    const trace = this.#trace(nowMs);
    lane.send({ head, response, client: lane.connection.client, arrivedMs, trace }, response.at(nowMs));
    return true;
  }

  /** The kernel has not taken all of a response yet. */
  waits(lane: LaneConnection): void {
    this.#waiting.add(lane);
    this.deps.connections.busy(lane.connection);
    this.deps.begun();
  }

  /** What waited waits no more. */
  waited(lane: LaneConnection): void {
    this.#waiting.delete(lane);
    this.deps.over();
  }

  /** A response is over: `complete` if the client has all of it. */
  over(lane: LaneConnection, answer: LaneAnswer, complete: boolean): void {
    const { clock, admission, connections } = this.deps;
    const nowMs = clock.monotonic();
    admission.leave();
    if (!lane.connection.busy) connections.idle(lane.connection, nowMs);
    this.#count(answer, complete, nowMs - answer.arrivedMs);
  }

  #known({ route, ask: { reference }, key, noted }: JudgedHead): KnownAnswer | undefined {
    const { hits } = this.deps;
    if (route === 'manifest') return hits.known(key);
    return reference.kind === 'digest' ? hits.knownBlob(key, reference.digest, noted) : undefined;
  }

  /** By chance: whoever says what is to be traced is heard by node:http. */
  #trace(nowMs: number): RequestTrace | undefined {
    const { traceOneIn } = this.options;
    if (traceOneIn === undefined) return undefined;
    return traceRequest(undefined, traceOneIn, { random: this.deps.random, nowMs });
  }

  #warn(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const message =
      'node:http is not as this version of onepull knows it: what is known by heart is answered more slowly';
    this.deps.channels.notice.publish({
      level: 'warn',
      message,
      fields: { event: 'no-fast-lane', node: process.version },
    });
  }

  #count({ head, response, client, trace }: LaneAnswer, complete: boolean, durationMs: number): void {
    const { channels, tally } = this.deps;
    const { route } = head;
    const { method, scope } = head.ask;
    const { status, bodyBytes } = response;
    const firstByteMs = bodyBytes > 0 ? durationMs : undefined;
    response.cell ??= tally.cell({ route, method, status, served: 'hit' });
    response.cell.add({ firstByteMs, durationMs, complete });
    const bytes = complete ? bodyBytes : 0;
    if (bytes > 0) channels.servedBytes.publish({ from: 'cache', bytes });
    if (!channels.request.isHeard && trace === undefined) return;
    const event: RequestEvent = {
      id: this.deps.nextId(),
      client,
      method,
      path: head.path,
      route,
      registry: scope.registry,
      repository: scope.repository,
      reference: head.named,
      userAgent: head.userAgent,
      status,
      errorCode: undefined,
      served: 'hit',
      bytes,
      complete,
      firstByteMs,
      durationMs,
      ...(trace && { traceId: trace.traceId }),
    };
    channels.request.publish(event);
    if (trace !== undefined) channels.tracedRequest.publish({ event, trace });
  }
}

/** Undefined where it is not prepared: a part, or what the client is to be told is an error. */
function responseTo(
  { ask }: JudgedHead,
  { answer, prepared }: KnownAnswer,
  keepAlive: string,
): PreparedResponse | undefined {
  if (ask.ifNoneMatch === undefined && ask.range === undefined) {
    return prepared.response(ask.method === 'HEAD' ? 'described' : 'whole', keepAlive);
  }
  try {
    return prepared.response(manifestForm(ask, answer), keepAlive);
  } catch {
    return undefined;
  }
}
