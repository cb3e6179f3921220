import type { Clock } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Source } from './source.ts';

interface Entry {
  readonly source: Source;
  faults: number;
  refusal: AppError | undefined;
  /** Until when it asked to be left alone (Retry-After). */
  restsUntilMs: number;
}

/**
 * The sources that a flight may read from, and which to ask next.
 * A source that refused for good is not asked again in this flight; one that failed, or served a body that turned out
 * wrong, is asked after the others; one that asked for a rest gets it, as long as there is another.
 */
export class SourceRoster {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns whether it is a new one. */
  add(source: Source): boolean {
    if (this.#entries.has(source.name)) return false;
    this.#entries.set(source.name, { source, faults: 0, refusal: undefined, restsUntilMs: 0 });
    return true;
  }

  /** For operators: names of repositories are not for every reader to know (P9). */
  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** Whose bytes they bring, in words that any reader may see. */
  get origins(): string {
    return [...new Set([...this.#entries.values()].map(({ source }) => source.origin))].join(', ');
  }

  /** Of those that do not rest the source with the fewest faults; of equals the one that came first. Undefined where all have refused. */
  next(): Source | undefined {
    let best: Entry | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.refusal === undefined && (best === undefined || this.#isBetter(entry, best))) best = entry;
    }
    return best?.source;
  }

  /** How long the source still asked to be left alone. */
  restMs(source: Source): number {
    const entry = this.#entries.get(source.name);
    return entry === undefined ? 0 : Math.max(0, entry.restsUntilMs - this.#clock.monotonic());
  }

  failed(source: Source, error: AppError): void {
    const entry = this.#entries.get(source.name);
    if (entry === undefined) return;
    entry.faults++;
    if (!error.retryable) entry.refusal = error;
    if (error.retryAfterMs !== undefined) entry.restsUntilMs = this.#clock.monotonic() + error.retryAfterMs;
  }

  #isBetter(entry: Entry, than: Entry): boolean {
    const [restMs, thanRestMs] = [this.restMs(entry.source), this.restMs(than.source)];
    return restMs === thanRestMs ? entry.faults < than.faults : restMs < thanRestMs;
  }
}
