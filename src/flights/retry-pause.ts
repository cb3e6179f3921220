import type { Clock, Timer } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import { formatDuration } from '../core/units.ts';
import { persistence } from '../routing/persistence.ts';
import type { FillingHost, FillingOptions } from './filling-host.ts';
import type { RetryPolicy, Source } from './source.ts';
import type { SourceRoster } from './source-roster.ts';

export interface RetryPauseDeps {
  readonly clock: Clock;
  readonly roster: SourceRoster;
  readonly retry: RetryPolicy;
  readonly host: Pick<FillingHost, 'patienceMs' | 'bodyPatienceMs' | 'denied'>;
  /** The pause is over. Never called in the turn in which it began. */
  readonly proceed: () => void;
}

/** So often it is looked whether somebody has become ready to be asked sooner. */
const lookAgainMs = 250;

/**
 * When a flight may ask again after a failure. A source that has not failed and does not rest is asked at once: the retry
 * budget is for coming back to one that failed already, and a byte of progress fills it up again. The budget is attempts and
 * time (`persistence`): a few quick failures end nothing as long as those who wait can wait.
 *
 * There are two who wait. Who has had no byte yet has a client without headers, who is told soon why there are none (P6). Who
 * has had some has a client in the midst of a body, whom nothing but a cut can be told: for those it goes on, for
 * `outageTimeoutMs` without a byte, while the others are denied.
 *
 * Invariants: there is at most one pause and one timer; a pause ends by time, by somebody who may be asked at once, or by
 * `clear`; a rest is never waited for longer than those who wait at its beginning can.
 */
export class RetryPause {
  readonly #deps: RetryPauseDeps;
  readonly #options: Pick<FillingOptions, 'headerPatienceMs' | 'outageTimeoutMs'>;
  #failuresInRow = 0;
  /** Since when there has been no progress; undefined while there was no failure since. */
  #failingSinceMs: number | undefined;
  #timer: Timer | undefined;
  #untilMs = 0;
  #restUntilMs = 0;
  /** The one whose rest is waited for; undefined where the pause is ours. */
  #resting: Source | undefined;
  #lastError: AppError | undefined;
  #isDenied = false;

  constructor(deps: RetryPauseDeps, options: Pick<FillingOptions, 'headerPatienceMs' | 'outageTimeoutMs'>) {
    this.#deps = deps;
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#timer !== undefined;
  }

  /** What is waited for, in words; undefined while there is no pause. */
  get reason(): string | undefined {
    if (!this.isOn) return undefined;
    const leftS = Math.max(1, Math.ceil(this.#leftMs / 1000));
    const left = leftS < 60 ? `${leftS} s` : formatDuration(leftS * 1000);
    if (this.#resting === undefined) return `another attempt in ${left} after: ${this.#lastError?.message}`;
    return `${this.#resting.standing().restReason ?? `${this.#resting.origin} asked for a rest`}: ${left} left`;
  }

  /** A byte came. */
  progressed(): void {
    this.#failuresInRow = 0;
    this.#failingSinceMs = undefined;
    if (!this.#isDenied) return;
    this.#isDenied = false;
    this.#deps.host.denied(undefined);
  }

  /** After a failure: whether to ask again now, or later (there is a pause now, or all are held back), or never. */
  after(error: AppError): 'now' | 'later' | 'never' {
    this.#lastError = error;
    const { roster, clock } = this.#deps;
    this.#failingSinceMs ??= clock.monotonic();
    if (roster.unfailed() !== undefined) {
      this.clear();
      return 'now';
    }
    if (roster.next() === undefined) return roster.isHeld ? 'later' : 'never';
    this.#failuresInRow++;
    return this.rest();
  }

  /** Before asking somebody who rests, or failed: whether there is a pause now, or those who wait cannot wait so long. */
  rest(): 'now' | 'later' | 'never' {
    const { roster } = this.#deps;
    const next = roster.next();
    if (next === undefined) return roster.isHeld ? 'later' : 'never';
    const nowMs = this.#deps.clock.monotonic();
    const restMs = roster.restMs(next);
    let delayMs = this.#delayMs(restMs, nowMs, false);
    if (delayMs === undefined) {
      if (this.#lastResort() === 'now') return 'now';
      delayMs = this.#delayMs(restMs, nowMs, true);
      if (delayMs === undefined) return 'never';
      this.#deny();
    }
    this.#resting = restMs > 0 ? next : undefined;
    this.#restUntilMs = nowMs + restMs;
    this.#untilMs = nowMs + delayMs;
    this.#wait();
    return 'later';
  }

  /** Somebody joined, perhaps with another source, perhaps with less patience than those who were there. */
  reconsider(): 'now' | 'later' | 'never' {
    if (this.#isPointless()) {
      this.clear();
      return 'now';
    }
    const { patienceMs, bodyPatienceMs = 0 } = this.#deps.host;
    if (this.#resting === undefined || this.#leftMs <= patienceMs) return 'later';
    if (this.#lastResort() === 'now') return 'now';
    if (this.#leftMs <= bodyPatienceMs) {
      this.#deny();
      return 'later';
    }
    this.clear();
    return 'never';
  }

  clear(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }

  #lastResort(): 'now' | 'never' {
    if (!this.#deps.roster.resort()) return 'never';
    this.clear();
    return 'now';
  }

  #deny(): void {
    this.#isDenied = true;
    this.#deps.host.denied(this.#deps.roster.verdict());
  }

  /** How long to wait before it is asked again; undefined: that is longer than those can wait for whom it would be. */
  #delayMs(restMs: number, nowMs: number, isForBodies: boolean): number | undefined {
    const { roster, retry, host } = this.#deps;
    const { headerPatienceMs: boundMs, outageTimeoutMs } = this.#options;
    const leftMs = isForBodies ? host.bodyPatienceMs : host.patienceMs;
    if (leftMs === undefined) return undefined;
    const patienceMs = Math.max(0, leftMs);
    const triedMs = nowMs - (this.#failingSinceMs ?? nowMs);
    const { isAway, outageMs } = roster;
    const delayMs = retry({
      retryable: true,
      attempt: Math.max(1, this.#failuresInRow),
      retryAfterMs: restMs || undefined,
      patienceMs,
      ...(isForBodies
        ? { persistMs: Math.min(patienceMs, Math.max(0, outageTimeoutMs - triedMs)) }
        : persistence({ boundMs, leftMs: patienceMs, triedMs, isAway, outageMs })),
    });
    return delayMs !== undefined && restMs > 0 && delayMs > patienceMs ? undefined : delayMs;
  }

  get #leftMs(): number {
    return Math.max(0, this.#untilMs - this.#deps.clock.monotonic());
  }

  /** Whether somebody may be asked at once: one who never failed, or whose rest has been cut short. */
  #isPointless(): boolean {
    const { roster } = this.#deps;
    if (roster.unfailed() !== undefined) return true;
    const next = roster.next();
    if (this.#resting === undefined || next === undefined || roster.restMs(next) > 0) return false;
    // What comes after the rest is chance, so that not all who waited for its end come back together.
    return this.#deps.clock.monotonic() < this.#restUntilMs;
  }

  #wait(): void {
    this.#timer?.clear();
    this.#timer = this.#deps.clock.after(Math.min(this.#leftMs, lookAgainMs), () => {
      if (this.#leftMs > 0 && !this.#isPointless()) return this.#wait();
      this.#timer = undefined;
      this.#deps.proceed();
    });
  }
}
