import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Source } from './source.ts';

interface Entry {
  readonly source: Source;
  /** Failures in this flight. */
  faults: number;
  /** It brought a whole body that was wrong. */
  isSetAside: boolean;
  /** It sends the whole blob, whatever range is asked for. */
  ignoresRanges: boolean;
  /** Windows in a row in which it was too slow. */
  slowWindows: number;
  refusal: AppError | undefined;
  lastFailure: { readonly error: AppError; readonly order: number } | undefined;
  /** Until when it asked this flight to be left alone (Retry-After). */
  restsUntilMs: number;
}

/** Who may be asked at this moment, whatever else is known of them. Left out: all. */
export interface SourceGate {
  allows(source: Source): boolean;
  /** Others may be asked before long: it is told when. */
  readonly isUndecided: boolean;
}

/**
 * The sources that a flight may read from, and which to ask next.
 *
 * A source that refused for good is not asked again in this flight, and its refusal ends nothing but itself. Of the others
 * the one is asked that rests least (by its own word to this flight, or as whoever watches it judges), then the one with
 * the fewest faults in this flight, then one that serves ranges, then the cheapest, then the one that came first.
 *
 * One that brought a wrong body is set aside: all others are waited for as long as anybody can wait, and only then is it the
 * last resort (`resort`), or where there is no other.
 */
export class SourceRoster {
  readonly #clock: Clock;
  readonly #gate: SourceGate | undefined;
  readonly #entries = new Map<string, Entry>();
  #failures = 0;
  #isLastResort = false;

  constructor(clock: Clock, gate?: SourceGate) {
    this.#clock = clock;
    this.#gate = gate;
  }

  /** Returns whether it is a new one. */
  add(source: Source): boolean {
    if (this.#entries.has(source.name)) return false;
    this.#entries.set(source.name, {
      source,
      faults: 0,
      isSetAside: false,
      ignoresRanges: false,
      slowWindows: 0,
      refusal: undefined,
      lastFailure: undefined,
      restsUntilMs: 0,
    });
    this.#isLastResort = false;
    return true;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** All that are known. */
  get sources(): Source[] {
    return [...this.#entries.values()].map(({ source }) => source);
  }

  /** Who is to be named where nothing came: those that failed, or, before anybody has, all. */
  get suspects(): Source[] {
    const failed = [...this.#entries.values()].filter(({ lastFailure }) => lastFailure !== undefined);
    return failed.length === 0 ? this.sources : failed.map(({ source }) => source);
  }

  /** For operators: names of repositories are not for every reader to know (P9). */
  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** Whose bytes they bring, in words that any reader may see. */
  get origins(): string {
    return [...new Set([...this.#entries.values()].map(({ source }) => source.origin))].join(', ');
  }

  /** Nobody may be asked now, though not all have refused: whoever keeps them back says when. */
  get isHeld(): boolean {
    if (this.#gate?.isUndecided !== true || this.next() !== undefined) return false;
    return [...this.#entries.values()].some(({ refusal }) => refusal === undefined);
  }

  /** The one to ask. Undefined where all have refused, or are held back. It may rest: then all do that are not set aside. */
  next(): Source | undefined {
    return this.#best(() => true);
  }

  /** The others are not worth waiting for any more. Returns whether there is somebody else to ask now. */
  resort(): boolean {
    if (this.#isLastResort || !this.#hasHonest()) return false;
    this.#isLastResort = [...this.#entries.values()].some((entry) => entry.isSetAside && entry.refusal === undefined);
    return this.#isLastResort;
  }

  /** Nobody is there to answer, as far as they were asked: connections are refused, names unknown. */
  get isAway(): boolean {
    const entries = [...this.#entries.values()];
    return entries.every(
      ({ lastFailure, refusal }) => refusal !== undefined || lastFailure?.error.code === 'UPSTREAM_UNREACHABLE',
    );
  }

  /** For so long all who may be asked have been known to be down, in ms; 0: one of them is not. */
  get outageMs(): number {
    let leastMs = Number.POSITIVE_INFINITY;
    for (const { source, refusal, isSetAside } of this.#entries.values()) {
      if (refusal !== undefined || isSetAside || this.#gate?.allows(source) === false) continue;
      leastMs = Math.min(leastMs, source.standing().outageMs ?? 0);
    }
    return Number.isFinite(leastMs) ? leastMs : 0;
  }

  ignoresRanges(source: Source): boolean {
    return this.#entries.get(source.name)?.ignoresRanges === true;
  }

  /** It answered with the whole blob where a range was asked for. */
  ignoredRange(source: Source): void {
    const entry = this.#entries.get(source.name);
    if (entry !== undefined) entry.ignoresRanges = true;
  }

  /** One that may be asked now instead of `source`. */
  alternativeTo(source: Source): Source | undefined {
    return this.#best((entry) => entry.source.name !== source.name && this.restMs(entry.source) === 0);
  }

  /** One that may be asked now and has not failed in this flight. */
  unfailed(): Source | undefined {
    return this.#best((entry) => entry.faults === 0 && this.restMs(entry.source) === 0);
  }

  /** How long the source is still to be left alone, in ms. */
  restMs(source: Source): number {
    const askedForMs = (this.#entries.get(source.name)?.restsUntilMs ?? 0) - this.#clock.monotonic();
    const judgedMs = source.standing().restMs;
    return Math.max(0, askedForMs, judgedMs > 0 && this.#isChoiceGone() ? 0 : judgedMs);
  }

  /** Whether it has told this flight why it brings nothing. */
  hasFailed(source: Source): boolean {
    return this.#entries.get(source.name)?.lastFailure !== undefined;
  }

  failed(source: Source, error: AppError): void {
    const entry = this.#entries.get(source.name);
    if (entry === undefined) return;
    entry.faults++;
    entry.lastFailure = { error, order: ++this.#failures };
    // What is not there today may be there in a moment, on a node that brings it too.
    if (!error.retryable && source.isPeer !== true) entry.refusal = error;
    this.rests(source, error);
    source.failed?.(error);
  }

  /** It asked for a rest, if `error` says so; that is no fault. */
  rests(source: Source, error: AppError): void {
    const entry = this.#entries.get(source.name);
    if (entry === undefined || error.retryAfterMs === undefined) return;
    entry.restsUntilMs = this.#clock.monotonic() + error.retryAfterMs;
  }

  /** A body is wrong that these brought. `isAllTheirs`: nothing of it was left by an earlier fill. */
  broughtWrong(sources: ReadonlySet<Source>, error: AppError, isAllTheirs: boolean): void {
    for (const source of sources) {
      this.failed(source, error);
      const entry = this.#entries.get(source.name);
      if (entry !== undefined && isAllTheirs && sources.size === 1) entry.isSetAside = true;
    }
  }

  /**
   * A connection to it brought too little in a whole window, or enough again. Returns whether to replace the connection: by
   * one to a source that is not known to be slow, else once by another one to this source, which is one slow line for another.
   */
  paced(source: Source, isSlow: boolean): boolean {
    const entry = this.#entries.get(source.name);
    if (entry === undefined) return false;
    entry.slowWindows = isSlow ? entry.slowWindows + 1 : 0;
    if (!isSlow) return false;
    return entry.slowWindows === 1 || this.#best((other) => this.#isFaster(other)) !== undefined;
  }

  /**
   * What to tell when nobody is left to ask: of all that failed the most telling. A limit tells when to come back, so the
   * one that ends first goes before other failures that may pass, and those before refusals; that the blob is not there is
   * told only where nobody says otherwise.
   */
  verdict(): AppError {
    let told: { readonly error: AppError; readonly rank: number; readonly order: number } | undefined;
    for (const { source, lastFailure } of this.#entries.values()) {
      if (lastFailure === undefined) continue;
      const restMs = this.restMs(source);
      const error = restMs > 0 ? withRest(lastFailure.error, restMs) : lastFailure.error;
      // Of a node that did not work out only those hear who have heard of nobody else.
      if (source.isPeer === true && told !== undefined) continue;
      const isLimited = error.code === 'UPSTREAM_RATE_LIMITED' && restMs > 0;
      const candidate = { error, rank: rankOf(error, isLimited), order: isLimited ? -restMs : lastFailure.order };
      const isBetter =
        told === undefined ||
        candidate.rank > told.rank ||
        (candidate.rank === told.rank && candidate.order > told.order);
      if (isBetter) told = candidate;
    }
    return told?.error ?? new AppError('UPSTREAM_UNREACHABLE', 'there is no source to ask');
  }

  #isFaster(entry: Entry): boolean {
    return entry.slowWindows === 0 && this.restMs(entry.source) === 0;
  }

  /** Those that may rest because there are others: but here the others are set aside. */
  #isChoiceGone(): boolean {
    if (this.#isLastResort) return false;
    let isAnySetAside = false;
    for (const { source, refusal, isSetAside } of this.#entries.values()) {
      isAnySetAside ||= isSetAside;
      if (refusal === undefined && !isSetAside && source.standing().restMs === 0) return false;
    }
    return isAnySetAside;
  }

  #hasHonest(): boolean {
    for (const { refusal, isSetAside } of this.#entries.values()) if (refusal === undefined && !isSetAside) return true;
    return false;
  }

  #best(isEligible: (entry: Entry) => boolean): Source | undefined {
    let best: Entry | undefined;
    const isLastResort = this.#isLastResort || !this.#hasHonest();
    for (const entry of this.#entries.values()) {
      if (entry.refusal !== undefined || entry.isSetAside !== isLastResort || !isEligible(entry)) continue;
      if (this.#gate?.allows(entry.source) === false) continue;
      if (best === undefined || this.#isBetter(entry, best)) best = entry;
    }
    return best?.source;
  }

  #isBetter(entry: Entry, than: Entry): boolean {
    const [restMs, thanRestMs] = [this.restMs(entry.source), this.restMs(than.source)];
    if (restMs !== thanRestMs) return restMs < thanRestMs;
    if (entry.faults !== than.faults) return entry.faults < than.faults;
    if (entry.ignoresRanges !== than.ignoresRanges) return than.ignoresRanges;
    return entry.source.standing().cost < than.source.standing().cost;
  }
}

function rankOf(error: AppError, isLimited: boolean): number {
  if (isLimited) return 3;
  if (error.retryable) return 2;
  return error.status === 404 ? 0 : 1;
}

/** The same failure, told now: of the rest that was asked for only this is left. */
function withRest(error: AppError, restMs: number): AppError {
  if (!error.retryable) return error;
  const { code, message, status, details } = error;
  return new AppError(code, message, { cause: error, status, details, retryAfterMs: Math.ceil(restMs) });
}
