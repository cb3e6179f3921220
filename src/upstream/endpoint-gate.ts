import type { Clock, Timer } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { type ConcurrencyLimit, firstLimit, nextLimit } from '../routing/concurrency-limit.ts';
import type { Channels } from '../telemetry/channels.ts';
import { type GateWhat, Pauses, type Ticket } from './pauses.ts';
import { cancelled } from './upstream-errors.ts';
import { type LineAsk, type Waiter, WaitingLine } from './waiting-line.ts';

export type { GateWhat } from './pauses.ts';

export interface GateAsk extends LineAsk {
  /** Rejected with OVERLOADED rather than kept waiting. */
  readonly optional?: boolean | undefined;
}

/** The right to have one request under way. Whoever has it ends it, whatever happens. */
export interface GatePass {
  /**
   * The status of each answer on the way, and the Retry-After that came with it, in ms. `of`: what was answered, where it
   * was not the request itself but something that it needs, such as a token (`other`).
   */
  answered(status: number, retryAfterMs: number | undefined, of?: GateWhat): void;
  /**
   * `refused`: the last answer was the endpoint's word on the request, such as 401 or 404. `left`: the one who asked went
   * away, which says nothing of the endpoint. Only the first call counts.
   */
  ended(outcome: 'done' | 'refused' | 'failed' | 'left'): void;
}

export interface GateSnapshot {
  /** Bodies that may be under way at once, and those that are. */
  readonly limit: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly pauses: readonly { readonly what: GateWhat; readonly leftMs: number }[];
}

export interface EndpointGateDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly random: () => number;
}

export interface EndpointGateOptions {
  readonly upstream: string;
  readonly endpoint: string;
  /** As configured for the upstream: a quarter of them is for what is not a body. */
  readonly connections: number;
  /** The longest wait for a turn. */
  readonly acquireTimeoutMs?: number | undefined;
}

const startingBodies = 16;
/** Requests that are no bodies have a lane of connections of their own, where they wait; this many at the most. */
const maxControl = 1000;

/**
 * The door of one endpoint: every request passes it, and each answer teaches it.
 *
 * Invariants
 * - Bodies under way never grow beyond the limit of the moment; a limit that falls below them lets nobody in until they
 *   have ended. Requests that are no bodies never wait for bodies.
 * - After every event, nobody waits who could be let in: so whoever comes and finds it open overtakes nobody.
 * - While the endpoint asked for a rest, nobody waits here and nobody is let in: who waits or comes is told how long it
 *   takes. After it one request goes first; the others wait for its answer.
 * - A waiter leaves the line exactly once: let in, refused, too late, or by its own abort, and then its timer and listener
 *   are gone. A pass counts as under way from the moment it is given until it ends, once, even if its owner left meanwhile.
 * - Nothing here waits for something else that waits here: tokens, which other requests need, pass without a turn.
 */
export class EndpointGate implements Disposable {
  readonly #clock: Clock;
  readonly #channels: Channels;
  readonly #options: EndpointGateOptions;
  readonly #ceiling: number;
  readonly #pauses: Pauses;
  readonly #line: WaitingLine<GatePass>;
  #limit: ConcurrencyLimit;
  #bodies = 0;
  #control = 0;
  /** Due when a probe has taken so long that the next may go. */
  #wake: Timer | undefined;
  #closed: AppError | undefined;

  constructor(deps: EndpointGateDeps, options: EndpointGateOptions) {
    this.#clock = deps.clock;
    this.#channels = deps.channels;
    this.#options = options;
    this.#pauses = new Pauses(deps);
    this.#line = new WaitingLine(deps, { reasonOf: (what, ahead) => this.#waitReason(what, ahead) });
    this.#ceiling = Math.max(1, options.connections - Math.max(1, Math.floor(options.connections / 4)));
    this.#limit = firstLimit({ ceiling: this.#ceiling, start: startingBodies });
  }

  /** What is left of the rest that was asked for, in ms; 0: it may be asked. */
  restMs(what: GateWhat): number {
    return this.#pauses.restMs(what);
  }

  /** Why it rests, for people. */
  restReason(what: GateWhat): string | undefined {
    const status = this.#pauses.cause(what);
    if (status === undefined) return undefined;
    return status === 429 ? `${this.#options.endpoint} limits us` : `${this.#options.endpoint} asked for a rest`;
  }

  /** Whether one more body would take nothing from anybody who waits. */
  hasRoom(): boolean {
    return this.#restError('blob-body') === undefined && this.#isOpen('blob-body');
  }

  /**
   * Waits for a turn. Rejects at once while the endpoint rests (UPSTREAM_RATE_LIMITED, or UPSTREAM_FAILED with the status
   * 503 where that was its answer, and what is left of the rest), and with OVERLOADED when there is no room.
   */
  enter(ask: GateAsk, signal: AbortSignal): Promise<GatePass> {
    if (signal.aborted) return Promise.reject(cancelled(signal));
    const refusal = this.#closed ?? this.#restError(ask.what);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (ask.what !== 'blob-body' && this.#control >= maxControl) return Promise.reject(this.#overloaded());
    if (this.#isOpen(ask.what)) return Promise.resolve(this.#letIn(ask));
    if (ask.optional === true) return Promise.reject(this.#overloaded());
    return this.#queue(ask, signal);
  }

  /** Another node that shares this endpoint with us was asked for a rest. */
  impose(what: 'manifests' | 'blobs' | 'everything', status: number, forMs: number): void {
    if (!this.#pauses.imposed(what, status, forMs)) return;
    this.#line.refuseAll((waiting) => this.#restError(waiting));
    this.#lineMoved();
  }

  snapshot(): GateSnapshot {
    const { limit } = this.#limit;
    return { limit, inFlight: this.#bodies, queued: this.#line.size, pauses: this.#pauses.snapshot() };
  }

  /** Whoever waits is told; what is under way is its owner's to end. */
  [Symbol.dispose](): void {
    const closed = new AppError('SHUTTING_DOWN', `upstream ${this.#options.upstream} is closed`);
    this.#closed = closed;
    this.#line.refuseAll(() => closed);
    this.#lineMoved();
  }

  #isOpen(what: GateWhat): boolean {
    if (this.#pauses.probeMs(what) > 0) return false;
    return what !== 'blob-body' || this.#bodies < this.#limit.limit;
  }

  #queue(ask: GateAsk, signal: AbortSignal): Promise<GatePass> {
    return new Promise((resolve, reject) => {
      const acquireTimeoutMs = this.#options.acquireTimeoutMs ?? 60_000;
      const leave = (error: AppError) => {
        this.#line.refuse(waiter, error);
        this.#lineMoved();
      };
      const onAbort = () => leave(cancelled(signal));
      const timer = this.#clock.after(acquireTimeoutMs, () => {
        this.#channels.refused.publish({ bound: 'connections' });
        leave(this.#overloaded(acquireTimeoutMs));
      });
      signal.addEventListener('abort', onAbort, { once: true });
      const release = () => {
        timer.clear();
        signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter<GatePass> = { ask, release, resolve, reject };
      this.#line.add(waiter);
      this.#lineMoved();
    });
  }

  #letIn(ask: GateAsk): GatePass {
    const isBody = ask.what === 'blob-body';
    if (isBody) this.#bodies++;
    else this.#control++;
    return this.#pass(this.#pauses.letIn(ask.what), this.#limit.lowered);
  }

  #pass(ticket: Ticket, lowered: number): GatePass {
    const isBody = ticket.what === 'blob-body';
    let lastStatus: number | undefined;
    let hasEnded = false;
    const overload = () => {
      if (isBody) this.#limit = nextLimit(this.#limit, { kind: 'overload', lowered }, this.#ceiling);
    };
    return {
      answered: (status, retryAfterMs, of = ticket.what) => {
        if (hasEnded) return;
        const asked = { ...ticket, what: of };
        lastStatus = status;
        if (of === ticket.what && (status === 429 || status === 503 || status === 504)) overload();
        if (status === 429 || (status === 503 && retryAfterMs !== undefined)) this.#rest(asked, status, retryAfterMs);
        // 401 is the question who we are: the answer that counts is still to come.
        else if (status < 500 && status !== 401) this.#pauses.succeeded(asked);
        this.#advance();
      },
      ended: (outcome) => {
        if (hasEnded) return;
        hasEnded = true;
        if (lastStatus === 401 && outcome === 'refused') this.#pauses.succeeded(ticket);
        // A body that breaks off after a good beginning is a fault of the way, not a sign of too many.
        if (outcome === 'failed' && (lastStatus === undefined || lastStatus === 401)) overload();
        const isGood = outcome === 'done' && (lastStatus === undefined || lastStatus < 400);
        if (isBody && isGood) {
          const isUsed = this.#bodies >= this.#limit.limit;
          this.#limit = nextLimit(this.#limit, { kind: 'success', isUsed }, this.#ceiling);
        }
        if (isBody) this.#bodies--;
        else this.#control--;
        this.#pauses.ended(ticket);
        this.#advance();
      },
    };
  }

  #rest(ticket: Ticket, status: number, retryAfterMs: number | undefined): void {
    const news = this.#pauses.refused(ticket, status, retryAfterMs);
    if (news === undefined) return;
    const { upstream, endpoint } = this.#options;
    this.#channels.pause.publish({ upstream, endpoint, status, ...news });
    this.#line.refuseAll((what) => this.#restError(what));
  }

  /** Lets in whoever can be, in their order, and tells the others where they stand. */
  #advance(): void {
    for (;;) {
      const waiter = this.#line.take((what) => this.#isOpen(what));
      if (waiter === undefined) break;
      waiter.resolve(this.#letIn(waiter.ask));
      waiter.ask.waiting?.(undefined);
    }
    this.#lineMoved();
  }

  /** Nobody came nearer to being let in by what happened; but where they stand, or what for, may be another now. */
  #lineMoved(): void {
    this.#line.tell();
    this.#wake?.clear();
    const probeMs = this.#line.whats.map((what) => this.#pauses.probeMs(what)).filter((ms) => ms > 0);
    this.#wake = probeMs.length === 0 ? undefined : this.#clock.after(Math.min(...probeMs), () => this.#advance());
  }

  #waitReason(what: GateWhat, ahead: number): string {
    const { endpoint } = this.#options;
    const isForProbe = this.#pauses.probeMs(what) > 0;
    return isForProbe
      ? `the first answer of ${endpoint} after its rest`
      : `a free connection to ${endpoint} (${ahead} ahead)`;
  }

  #restError(what: GateWhat): AppError | undefined {
    const retryAfterMs = this.#pauses.restMs(what);
    if (retryAfterMs === 0) return undefined;
    const { upstream, endpoint } = this.#options;
    const facts = { retryAfterMs, details: { upstream } };
    const forS = Math.ceil(retryAfterMs / 1000);
    if (this.#pauses.cause(what) === 429) {
      const message = `upstream ${upstream} (${endpoint}) limits us: it is not asked for another ${forS} s`;
      return new AppError('UPSTREAM_RATE_LIMITED', message, facts);
    }
    const message = `upstream ${upstream} (${endpoint}) asked for a rest: it is not asked for another ${forS} s`;
    return new AppError('UPSTREAM_FAILED', message, { ...facts, status: 503 });
  }

  #overloaded(afterMs?: number): AppError {
    const { upstream, endpoint } = this.#options;
    const when = afterMs === undefined ? 'is free' : `was free for ${afterMs} ms`;
    const message = `no connection to upstream ${upstream} (${endpoint}) ${when}`;
    return new AppError('OVERLOADED', message, { retryAfterMs: 1000 });
  }
}
