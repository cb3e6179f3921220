import type { Clock, Timer } from '../core/clock.ts';
import { AppError, asAppError, type ErrorCode, isRefusal } from '../core/errors.ts';
import { toldFailure } from './told-failure.ts';
import { cancelled } from './upstream-errors.ts';

/** One endpoint that may be asked. */
export interface Candidate<T> {
  ask(signal: AbortSignal): Promise<T>;
  /** It is known to be down, and another is not. */
  isShut(): boolean;
  /** As far as is known it would answer at once. */
  isSound(): boolean;
  /** What is told of it where it was not asked. */
  shutError(): AppError;
  /** Calls back whenever it turns out to be down, with what that was found by, until the returned function is called. */
  onOpened(callback: (cause: ErrorCode) => void): () => void;
}

export interface RaceOptions {
  /** So long is an answer waited for before the next endpoint is asked as well. */
  readonly patienceMs: number;
  /** After so long already the second is, where `mayHedge` says so. */
  readonly hedgeAfterMs: number | undefined;
}

export interface RaceListener {
  mayHedge(): boolean;
  hedged(outcome: 'won' | 'lost' | 'failed'): void;
  /** The next endpoint is asked because of this. */
  failedOver(cause: ErrorCode): void;
}

interface Runner {
  readonly abort: AbortController;
  /** Nobody counts on its answer any more, though it still counts if it comes. */
  isOverdue: boolean;
  patience: Timer | undefined;
  forget: () => void;
}

/**
 * One request to several endpoints, in their order, until one of them succeeds.
 *
 * Invariants
 * - As long as nothing is decided some endpoint is being asked. The next is asked when nobody counts on those that are:
 *   each has failed, has been silent for too long, or is known to be down by now. Who was silent is not given up for it:
 *   a slow answer is better than none. Each is asked at most once.
 * - One that is shut is not asked while another has answered, be it by a refusal: then what it would say is not known.
 * - The first success decides; all others are aborted. A failure decides when nobody is left. An abort decides at once.
 *   Whatever comes after the decision is ignored, and no timer or listener outlives it.
 */
export class EndpointRace<T> {
  readonly #clock: Clock;
  readonly #candidates: readonly Candidate<T>[];
  readonly #options: RaceOptions;
  readonly #listener: RaceListener;
  readonly #decided = Promise.withResolvers<T>();
  readonly #runners = new Set<Runner>();
  readonly #failures: AppError[] = [];
  #next = 0;
  #hedge: Runner | undefined;
  #hedgeTimer: Timer | undefined;
  #isOver = false;

  constructor(
    deps: { clock: Clock; listener: RaceListener },
    candidates: readonly Candidate<T>[],
    options: RaceOptions,
  ) {
    this.#clock = deps.clock;
    this.#listener = deps.listener;
    this.#candidates = candidates;
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<T> {
    if (signal.aborted) throw cancelled(signal);
    const onAbort = () => this.#decide(() => this.#decided.reject(cancelled(signal)));
    signal.addEventListener('abort', onAbort, { once: true });
    const { hedgeAfterMs } = this.#options;
    if (hedgeAfterMs !== undefined && this.#candidates.length > 1) {
      this.#hedgeTimer = this.#clock.after(hedgeAfterMs, () => this.#onHedgeDue());
    }
    this.#advance();
    try {
      return await this.#decided.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Asks the next endpoint if nobody counts on those that are being asked; decides if there is none. */
  #advance(cause?: ErrorCode): void {
    if (this.#isOver || [...this.#runners].some(({ isOverdue }) => !isOverdue)) return;
    const candidate = this.#take();
    if (candidate === undefined) {
      if (this.#runners.size > 0) return;
      return this.#decide(() => {
        if (this.#hedge !== undefined) this.#listener.hedged('failed');
        this.#decided.reject(toldFailure(this.#failures));
      });
    }
    if (cause !== undefined) this.#listener.failedOver(cause);
    this.#start(candidate);
  }

  #take(): Candidate<T> | undefined {
    for (;;) {
      const candidate = this.#candidates[this.#next];
      if (candidate === undefined) return undefined;
      this.#next++;
      if (!candidate.isShut() || !this.#failures.some(isRefusal)) return candidate;
      this.#failures.push(candidate.shutError());
    }
  }

  #start(candidate: Candidate<T>): Runner {
    const abort = new AbortController();
    const runner: Runner = { abort, isOverdue: false, patience: undefined, forget: () => {} };
    const overdue = (cause: ErrorCode) => {
      runner.isOverdue = true;
      this.#advance(cause);
    };
    runner.patience = this.#clock.after(this.#options.patienceMs, () => overdue('UPSTREAM_TIMEOUT'));
    runner.forget = candidate.onOpened(overdue);
    this.#runners.add(runner);
    candidate.ask(abort.signal).then(
      (value) => this.#won(runner, value),
      (thrown: unknown) => this.#lost(runner, asAppError(thrown)),
    );
    return runner;
  }

  #onHedgeDue(): void {
    this.#hedgeTimer = undefined;
    const candidate = this.#candidates[this.#next];
    // Whoever is asked beside the first is not there to find out whether it is alive.
    if (this.#next !== 1 || candidate?.isSound() !== true || !this.#listener.mayHedge()) return;
    this.#next++;
    this.#hedge = this.#start(candidate);
  }

  #won(runner: Runner, value: T): void {
    this.#decide(() => {
      this.#release(runner);
      if (this.#hedge !== undefined) this.#listener.hedged(runner === this.#hedge ? 'won' : 'lost');
      this.#decided.resolve(value);
    });
  }

  #lost(runner: Runner, error: AppError): void {
    this.#release(runner);
    if (this.#isOver) return;
    this.#failures.push(error);
    this.#advance(error.code);
  }

  #decide(settle: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#hedgeTimer?.clear();
    settle();
    for (const runner of [...this.#runners]) {
      this.#release(runner);
      runner.abort.abort(new AppError('CANCELLED', 'another endpoint has answered, or nobody waits any more'));
    }
  }

  #release(runner: Runner): void {
    this.#runners.delete(runner);
    runner.patience?.clear();
    runner.forget();
  }
}
