import type { AppError } from '../core/errors.ts';
import type { Feed } from './feed.ts';
import type { RetryPause } from './retry-pause.ts';
import type { Source } from './source.ts';
import type { SourceRoster } from './source-roster.ts';
import type { Splitting } from './splitting.ts';

export interface SetbacksDeps {
  readonly roster: SourceRoster;
  readonly pause: RetryPause;
  /** The feeds that run; one that failed is none of them any more. */
  readonly feeds: ReadonlySet<Feed>;
  /** How connections share the work, while they do. */
  readonly splitting: () => Splitting | undefined;
  readonly noted: (source: Source, error: AppError) => void;
}

export interface SetbacksOptions {
  /** Ranges in flight at once, at most. */
  readonly maxFeeds: number;
  /** What a request is worth making for, in bytes. */
  readonly leastRangeBytes: number;
}

/** Ranges beside others that may fail before a filling stays with what it has. */
const maxRangeFailures = 3;

/**
 * What a failure means for a filling: for the standing of its source, for how many ranges run beside each other, and for
 * when to ask again. Whatever a source dislikes about one more range, those that it serves are good: a feed that fails
 * beside others of its source does not speak for it.
 */
export class Setbacks {
  readonly #deps: SetbacksDeps;
  readonly #leastRangeBytes: number;
  #maxFeeds: number;
  #rangeFailures = 0;
  #last: { readonly source: Source; readonly error: AppError } | undefined;

  constructor(deps: SetbacksDeps, options: SetbacksOptions) {
    this.#deps = deps;
    this.#leastRangeBytes = options.leastRangeBytes;
    this.#maxFeeds = options.maxFeeds;
  }

  /** Ranges that may be in flight at once, as far as they have been put up with. */
  get maxFeeds(): number {
    return this.#maxFeeds;
  }

  /** The failure that no further attempt has followed yet: whoever asks makes one now. */
  take(): { readonly source: Source; readonly error: AppError } | undefined {
    const last = this.#last;
    this.#last = undefined;
    return last;
  }

  /** A range came to its end. */
  met(): void {
    this.#rangeFailures = 0;
  }

  /** The source did wrong, whatever else it does; the next attempt may be made now. */
  fault(source: Source, error: AppError): void {
    this.#deps.noted(source, error);
    this.#deps.roster.failed(source, error);
    this.#last = { source, error };
  }

  /** The feed has failed and ended. Returns false where nobody is left to ask, and nothing runs. */
  failed(feed: Feed, error: AppError): boolean {
    const { feeds, roster, pause } = this.#deps;
    const isBeside = [...feeds].some(({ source }) => source.name === feed.source.name);
    roster.rests(feed.source, error);
    if (isBeside && this.#costsOnlyItsRange(feed, error)) return true;
    this.fault(feed.source, error);
    if (pause.after(error) !== 'never') return true;
    this.#maxFeeds = feeds.size;
    return feeds.size > 0;
  }

  /** The feed, which has brought nothing, is ended for another one. */
  left(feed: Feed, error: AppError): void {
    this.#deps.noted(feed.source, error);
    if (feed.optional) this.#deps.splitting()?.refused(this.#deps.feeds.size - 1);
    else this.#last = { source: feed.source, error };
    feed.stop();
  }

  #costsOnlyItsRange(feed: Feed, error: AppError): boolean {
    const running = this.#deps.feeds.size;
    const broughtNothing = feed.receivedBytes === 0;
    if (broughtNothing) this.#deps.splitting()?.refused(running);
    const isLimit = !error.retryable || error.code === 'UPSTREAM_RATE_LIMITED';
    if (broughtNothing && feed.optional) {
      this.#deps.noted(feed.source, error);
    } else if (!isLimit && feed.receivedBytes >= this.#leastRangeBytes) {
      // It brought what a request is worth before it broke: the next one may begin at once, where it stopped.
      this.fault(feed.source, error);
    } else if (isLimit || ++this.#rangeFailures >= maxRangeFailures) {
      this.#deps.noted(feed.source, error);
      this.#maxFeeds = running;
    } else {
      return false;
    }
    return true;
  }
}
