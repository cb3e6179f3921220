import type { Digest } from '../core/digest.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { RequestTrace } from '../core/tracing.ts';

/**
 * What happens inside, said once by the part that knows it. Metrics and logs subscribe; the parts that publish know
 * neither. Publishing is synchronous and costs a loop over the subscribers: never publish per chunk.
 */
export class Channel<T> {
  readonly #subscribers: ((event: T) => void)[] = [];

  /** Whether anybody listens: an event that is costly to put together is not made for nobody. */
  get isHeard(): boolean {
    return this.#subscribers.length > 0;
  }

  subscribe(subscriber: (event: T) => void): void {
    this.#subscribers.push(subscriber);
  }

  publish(event: T): void {
    for (const subscriber of this.#subscribers) subscriber(event);
  }
}

export type UpstreamRequestKind = 'ping' | 'manifest' | 'blob' | 'tags' | 'referrers' | 'token';

/** One HTTP exchange with an upstream (or its token server, or the host that it redirected to) has its headers. */
export interface UpstreamRequestEvent {
  readonly upstream: string;
  readonly endpoint: string;
  readonly kind: UpstreamRequestKind;
  readonly method: string;
  /** The HTTP status, or the error's code where none came. */
  readonly status: number | ErrorCode;
  readonly durationMs: number;
}

/** More body bytes came from an upstream: every mebibyte or so, and at the end of each body. */
export interface UpstreamBytesEvent {
  readonly upstream: string;
  readonly bytes: number;
}

export interface RateLimitEvent {
  readonly upstream: string;
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
  /** When the count begins anew, in ms from now, where the upstream says it. */
  readonly resetMs?: number;
}

/** The circuit breaker of an upstream's endpoint has moved. */
export interface BreakerEvent {
  readonly upstream: string;
  readonly endpoint: string;
  /** There is no other: so it is asked all the same. */
  readonly isOnly: boolean;
  /** `open`: it is not asked while another one is sound. `half-open`: a probe finds out whether it is back. */
  readonly state: 'closed' | 'open' | 'half-open';
  /** What opened it, in words. */
  readonly reason: string | undefined;
}

/** An endpoint asked to be left alone (429, or 503 with Retry-After). */
export interface PauseEvent {
  readonly upstream: string;
  readonly endpoint: string;
  /** What is not asked for meanwhile. */
  readonly what: 'manifests' | 'blobs' | 'everything';
  /** Of the answer that asked for it. */
  readonly status: number;
  readonly forMs: number;
}

/** Another attempt follows one that failed: at the same endpoint, or (`failover`) at another. */
export interface RetryEvent {
  readonly upstream: string;
  readonly kind: 'manifest' | 'blob' | 'list';
  readonly cause: ErrorCode;
  readonly failover: boolean;
}

/** A manifest request was sent to a second endpoint because the first was slow. */
export interface HedgeEvent {
  readonly upstream: string;
  readonly outcome: 'won' | 'lost' | 'failed';
}

/** A fill took a place among the nodes that share an engine. */
export interface ShareEvent {
  readonly digest: Digest;
  /**
   * It leads: this node asks upstream for all. It follows another node. It is alone: it asks upstream without the others' word.
   * It took over: it followed, and leads now.
   */
  readonly place: 'leads' | 'follows' | 'alone' | 'took-over';
}

/** Bytes of blobs that went to a peer, or came from one. */
export interface PeerBytesEvent {
  /** The other node. */
  readonly node: string;
  readonly bytes: number;
}

/** Two nodes did not let each other in; the other one knows it, or finds it out by itself. */
export interface PeerRefusedEvent {
  /**
   * Another node does not know this one's secret. One of the two does not accept the other's certificate. Another node spoke
   * plain HTTP where TLS is spoken, or the other way round.
   */
  readonly reason: 'signature' | 'certificate' | 'plain';
}

/** New work was refused because a bound was reached (P8). */
export interface RefusedEvent {
  readonly bound: 'connections' | 'responses' | 'queued-bytes' | 'flights' | 'descriptors' | 'pass-through';
}

/** Damaged content was taken out of the store. */
export interface QuarantineEvent {
  readonly digest: Digest;
  readonly foundBy: 'scrub' | 'serving';
  readonly reason: string;
}

/** A blob is streamed through memory because the disk cannot take it. */
export interface PassThroughEvent {
  readonly digest: Digest;
  readonly cause: 'too-large' | 'disk-full' | 'cache-in-use' | 'disk-failed';
}

/** More bytes came for blobs that are streamed through memory: every mebibyte or so, and at the end of each. */
export interface PassedBytesEvent {
  readonly bytes: number;
}

/** A request of a client was answered, or broke off. */
export interface RequestEvent {
  readonly id: string;
  readonly client: string;
  readonly method: string;
  /** With its query as it came, which may hold anything: whoever writes it down chooses what of it. */
  readonly path: string;
  readonly route: 'ping' | 'manifest' | 'blob' | 'tags' | 'referrers' | 'catalog' | 'other';
  readonly registry: string | undefined;
  readonly repository: string | undefined;
  readonly reference: string | undefined;
  readonly userAgent: string | undefined;
  readonly status: number;
  readonly errorCode: ErrorCode | undefined;
  /** How the content came to be here: from the cache, from a fill in progress that it joined or started, or stale. */
  readonly served: 'hit' | 'joined' | 'led' | 'revalidated' | 'stale' | undefined;
  readonly bytes: number;
  /** The client has every byte that it was promised. */
  readonly complete: boolean;
  readonly firstByteMs: number | undefined;
  readonly durationMs: number;
  /** Where a trace tells of it. */
  readonly traceId?: string | undefined;
}

/** A request that a trace tells of is over. */
export interface TracedRequest {
  readonly event: RequestEvent;
  readonly trace: RequestTrace;
}

/**
 * Counts answered requests by what they were. Cells are found once and added to often, so that counting costs no more than a
 * few additions.
 */
export interface RequestTally {
  cell(labels: RequestLabels): RequestCell;
}

export interface RequestLabels {
  readonly route: RequestEvent['route'];
  readonly method: string;
  readonly status: number;
  readonly served: RequestEvent['served'];
}

export interface RequestCell {
  add(answer: {
    readonly firstByteMs: number | undefined;
    readonly durationMs: number;
    readonly complete: boolean;
    /** What it failed of, if it did. */
    readonly errorCode?: ErrorCode | undefined;
  }): void;
}

/** More body bytes were sent to a client: every mebibyte or so, and at the end of each response. */
export interface ServedBytesEvent {
  /** A flight's may have come from other nodes as well. */
  readonly from: 'cache' | 'flight';
  readonly bytes: number;
}

/** A request shared the upstream work of another one. */
export interface CoalescedEvent {
  readonly kind: 'blob' | 'manifest' | 'blob-head' | 'token' | 'tags' | 'referrers';
}

export interface FlightEvent {
  readonly digest: Digest;
  /** `passed`: streamed to its end, and not kept; `done`: kept. */
  readonly event:
    | 'started'
    | 'resumed'
    | 'done'
    | 'passed'
    | 'failed'
    | 'parked'
    | 'discarded-body'
    | 'source-failed'
    | 'range-opened';
  readonly sizeBytes: number | undefined;
  /** Of the blob, so much was here. */
  readonly filledBytes: number;
  /** What came for it, thrown away bytes included. */
  readonly receivedBytes: number;
  /** Of one that has ended: what stays on disk, for a later one to go on with. Undefined where that is not known. */
  readonly keptBytes: number | undefined;
  /** Why it is streamed through memory and not kept; undefined: it is kept. */
  readonly notKept: PassThroughEvent['cause'] | undefined;
  /** Responses that follow it now, and all that ever did. */
  readonly waiters: number;
  readonly readers: number;
  /** The upstream that has it, as it is configured. */
  readonly upstream: string | undefined;
  /** In which repositories: `registry/repository`. */
  readonly source: string | undefined;
  /** Whose bytes came: endpoints' hosts, and other nodes. Where none came: who was asked. */
  readonly endpoint: string | undefined;
  readonly errorCode: ErrorCode | undefined;
  readonly message: string | undefined;
  readonly durationMs: number;
}

export type FlightEnd = Extract<FlightEvent['event'], 'done' | 'passed' | 'failed' | 'parked'>;

export function isFlightEnd(event: FlightEvent['event']): event is FlightEnd {
  return event === 'done' || event === 'passed' || event === 'failed' || event === 'parked';
}

export interface EvictionEvent {
  readonly blobs: number;
  readonly bytes: number;
  readonly sizeAfterBytes: number;
}

/** Something an operator should read; `level` is the log's. */
export interface NoticeEvent {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly error?: unknown;
  readonly fields?: Readonly<Record<string, unknown>>;
}

export class Channels {
  readonly upstreamRequest: Channel<UpstreamRequestEvent> = new Channel();
  readonly upstreamBytes: Channel<UpstreamBytesEvent> = new Channel();
  readonly rateLimit: Channel<RateLimitEvent> = new Channel();
  readonly breaker: Channel<BreakerEvent> = new Channel();
  readonly pause: Channel<PauseEvent> = new Channel();
  readonly retry: Channel<RetryEvent> = new Channel();
  readonly hedge: Channel<HedgeEvent> = new Channel();
  readonly refused: Channel<RefusedEvent> = new Channel();
  readonly share: Channel<ShareEvent> = new Channel();
  readonly peerServed: Channel<PeerBytesEvent> = new Channel();
  readonly peerReceived: Channel<PeerBytesEvent> = new Channel();
  readonly peerRefused: Channel<PeerRefusedEvent> = new Channel();
  readonly quarantine: Channel<QuarantineEvent> = new Channel();
  readonly passThrough: Channel<PassThroughEvent> = new Channel();
  readonly passedBytes: Channel<PassedBytesEvent> = new Channel();
  readonly request: Channel<RequestEvent> = new Channel();
  readonly tracedRequest: Channel<TracedRequest> = new Channel();
  readonly servedBytes: Channel<ServedBytesEvent> = new Channel();
  readonly coalesced: Channel<CoalescedEvent> = new Channel();
  readonly flight: Channel<FlightEvent> = new Channel();
  readonly eviction: Channel<EvictionEvent> = new Channel();
  readonly notice: Channel<NoticeEvent> = new Channel();
}
