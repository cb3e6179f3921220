import type { Clock, Timer } from '../core/clock.ts';
import { AppError, asAppError, type ErrorCode } from '../core/errors.ts';
import {
  type Breaker,
  type BreakerStep,
  closedBreaker,
  failureWeights,
  stepBreaker,
} from '../routing/circuit-breaker.ts';
import {
  agedHealth,
  type EndpointHealth,
  errorRatio,
  type HealthObservation,
  observeHealth,
  unknownHealth,
} from '../routing/endpoint-health.ts';
import type { Channels } from '../telemetry/channels.ts';

export interface EndpointWatchDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly random: () => number;
  /** Asks the endpoint whether it is alive; rejects with an `AppError` where it is not. Bounded by itself. */
  readonly probe: (signal: AbortSignal) => Promise<void>;
}

export interface EndpointWatchOptions {
  readonly upstream: string;
  readonly endpoint: string;
  /** There is no other: it is asked all the same, whatever is known of it. */
  readonly isOnly: boolean;
}

export interface WatchSnapshot {
  readonly breaker: Breaker;
  readonly health: EndpointHealth;
}

/** What a failure says of the endpoint. What is missing is no fault of its: an answer, or a matter of ours. */
const weights: Partial<Record<ErrorCode, number>> = {
  UPSTREAM_UNREACHABLE: failureWeights.connection,
  UPSTREAM_TIMEOUT: failureWeights.timeout,
  UPSTREAM_FAILED: failureWeights.answer,
  UPSTREAM_INVALID: failureWeights.answer,
  UPSTREAM_REDIRECT_REFUSED: failureWeights.answer,
  UPSTREAM_STALLED: failureWeights.body,
  UPSTREAM_INTERRUPTED: failureWeights.body,
  CONTENT_MISMATCH: failureWeights.content,
};

export function isEndpointsFault(error: AppError): boolean {
  return weights[error.code] !== undefined;
}

/**
 * What is known of one endpoint from the requests that were sent to it, and its breaker.
 *
 * Invariants
 * - Health and breaker change only by what is told here and by the probe, one after the other; every move of the breaker
 *   is published once.
 * - While the breaker is open exactly one timer runs; while it is half-open exactly one probe does. Closing it ends both;
 *   what an ended probe still says is ignored.
 * - Whether what is shut is asked all the same, because nobody else is there, is not decided here: an answer to whoever asks
 *   closes the breaker as a probe does.
 * - Nothing here keeps the process alive, and nothing goes on after disposal: it waits for the probe to have ended.
 */
export class EndpointWatch implements AsyncDisposable {
  readonly #deps: EndpointWatchDeps;
  readonly #options: EndpointWatchOptions;
  readonly #onOpened = new Set<(cause: ErrorCode) => void>();
  #health: EndpointHealth;
  #breaker: Breaker;
  /** When it last answered as it should. */
  #answeredMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #probe: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;
  #disposed = false;

  constructor(deps: EndpointWatchDeps, options: EndpointWatchOptions) {
    this.#deps = deps;
    this.#options = options;
    const nowMs = deps.clock.monotonic();
    this.#health = unknownHealth(nowMs);
    this.#breaker = closedBreaker(nowMs);
  }

  get health(): EndpointHealth {
    return this.#health;
  }

  get isShut(): boolean {
    return this.#breaker.state !== 'closed';
  }

  /** What opened the breaker. */
  get shutReason(): string | undefined {
    return this.#breaker.state === 'closed' ? undefined : this.#breaker.reason;
  }

  /** How long until it is known anew whether it is back, as far as that can be told. */
  get shutMs(): number {
    if (this.#breaker.state === 'closed') return 0;
    return Math.max(leastShutMs, this.#breaker.probeAtMs - this.#deps.clock.monotonic());
  }

  /** For so long all that it was asked has failed, in ms; 0 while its breaker is closed. */
  get outageMs(): number {
    if (this.#breaker.state === 'closed') return 0;
    return this.#deps.clock.monotonic() - this.#breaker.outageSinceMs;
  }

  /** A request that went out at `sentAtMs` succeeded, or was answered in a way that is no fault of the endpoint's. */
  answered(latencyMs: number, sentAtMs: number): void {
    this.#observe({ kind: 'answered', latencyMs });
    this.#answeredMs = this.#deps.clock.monotonic();
    this.#step({ kind: 'success', sentAtMs });
  }

  /** The headers of a body that is still to come. */
  headers(latencyMs: number): void {
    this.#observe({ kind: 'headers', latencyMs });
  }

  progress(bytes: number, activeMs: number): void {
    this.#observe({ kind: 'progress', bytes, activeMs });
  }

  delivered(sentAtMs: number): void {
    this.#observe({ kind: 'delivered' });
    this.#answeredMs = this.#deps.clock.monotonic();
    this.#step({ kind: 'success', sentAtMs });
  }

  /** It had not answered for so long when nobody needed its answer any more. */
  overtaken(waitedMs: number): void {
    this.#observe({ kind: 'overtaken', waitedMs });
  }

  /** A request failed. Says nothing of the endpoint where that is not its fault. */
  failed(error: AppError): void {
    const weight = weights[error.code];
    if (weight === undefined) return;
    const { code, message } = error;
    this.#observe({ kind: 'failed', weight, code, message });
    const { attempts } = this.#health;
    const wasShut = this.isShut;
    const failure = { weight, reason: message, errorRatio: errorRatio(this.#health), attempts };
    this.#step({ kind: 'failure', ...failure, isHarmless: this.#isAlive });
    if (wasShut || !this.isShut) return;
    for (const callback of [...this.#onOpened]) callback(code);
  }

  /** Somebody is refused because it is not asked: whether it is back is found out soon. */
  wanted(): void {
    const before = this.#breaker;
    this.#step({ kind: 'wanted' });
    const after = this.#breaker;
    if (after === before || after.state !== 'open') return;
    this.#timer?.clear();
    this.#probeIn(after.probeAtMs - this.#deps.clock.monotonic());
  }

  /** Calls back whenever the breaker opens, with what opened it, until the returned function is called. */
  onOpened(callback: (cause: ErrorCode) => void): () => void {
    // One that is called on behalf of several waits is several.
    const own = (cause: ErrorCode) => callback(cause);
    this.#onOpened.add(own);
    return () => this.#onOpened.delete(own);
  }

  snapshot(): WatchSnapshot {
    return { breaker: this.#breaker, health: agedHealth(this.#health, this.#deps.clock.monotonic()) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#rest();
    await this.#probe?.ended;
  }

  /**
   * Nothing is gained by taking an only one out of use of which some of what it is asked for works: it would go to and fro with
   * each request that does and each that does not.
   */
  get #isAlive(): boolean {
    return this.#options.isOnly && this.#deps.clock.monotonic() - this.#answeredMs < aliveMs;
  }

  #observe(observation: HealthObservation): void {
    this.#health = observeHealth(this.#health, observation, this.#deps.clock.monotonic());
  }

  #step(step: BreakerStep): void {
    if (this.#disposed) return;
    const { clock, random } = this.#deps;
    const before = this.#breaker;
    const after = stepBreaker(before, step, clock.monotonic(), random);
    this.#breaker = after;
    if (after.state === before.state) return;
    this.#rest();
    if (after.state === 'closed') this.#observe({ kind: 'recovered' });
    else if (after.state === 'open') this.#probeIn(after.probeAtMs - clock.monotonic());
    else this.#startProbe();
    this.#publish();
  }

  #publish(): void {
    const { state } = this.#breaker;
    this.#deps.channels.breaker.publish({ ...this.#options, state, reason: this.shutReason });
  }

  #probeIn(delayMs: number): void {
    // A timer may be early by a fraction of a millisecond: then it is not due yet.
    this.#timer = this.#deps.clock.after(Math.max(1, Math.ceil(delayMs)), () => {
      this.#timer = undefined;
      this.#step({ kind: 'due' });
      if (this.#breaker.state === 'open') this.#probeIn(this.#breaker.probeAtMs - this.#deps.clock.monotonic());
    });
  }

  #startProbe(): void {
    const abort = new AbortController();
    const isCurrent = () => this.#probe?.abort === abort && !abort.signal.aborted;
    const ended = this.#deps.probe(abort.signal).then(
      () => {
        if (isCurrent()) this.#step({ kind: 'probe-succeeded' });
      },
      (thrown: unknown) => {
        if (isCurrent()) this.#probeFailed(asAppError(thrown));
      },
    );
    this.#probe = { abort, ended };
  }

  #probeFailed(error: AppError): void {
    const { code, message } = error;
    // A probe that was never made says nothing: what is known of the endpoint stays as it is.
    const isOurs = code === 'OVERLOADED';
    if (!isOurs) this.#observe({ kind: 'failed', weight: weights[code] ?? failureWeights.answer, code, message });
    this.#step({ kind: 'probe-failed', reason: isOurs ? (this.shutReason ?? message) : message });
  }

  /** Ends what waits for a probe, and the probe. */
  #rest(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    this.#probe?.abort.abort(new AppError('CANCELLED', 'the probe is not needed any more'));
  }
}

/** While the probe is on its way nobody knows; to look again sooner would be to turn in circles. */
const leastShutMs = 250;
/** So long an only endpoint counts as there that has answered somebody. */
const aliveMs = 1000;
