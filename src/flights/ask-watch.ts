import type { Clock, Timer } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Feed } from './feed.ts';
import type { SourceRoster } from './source-roster.ts';

export interface AskWatchDeps {
  readonly clock: Clock;
  readonly roster: SourceRoster;
  readonly feeds: ReadonlySet<Feed>;
  /** There is no use in waiting for this one's answer any longer. */
  readonly leave: (feed: Feed, error: AppError) => void;
}

const lookEveryMs = 250;
/** A connection for speed alone that takes so long to begin holds bytes up instead, which readers may wait for. */
const optionalAskMs = 2000;

/**
 * Watches feeds whose source has not answered yet. They may be left for another any time: no byte of theirs is fetched
 * twice. So nobody waits for a source that others have found dead meanwhile, while there is one that may be asked.
 *
 * Invariant: there is a timer only while there is a feed that asks and could be left.
 */
export class AskWatch {
  readonly #deps: AskWatchDeps;
  #timer: Timer | undefined;

  constructor(deps: AskWatchDeps) {
    this.#deps = deps;
  }

  /** A feed was opened, or there is another source. */
  start(): void {
    const { clock, roster, feeds } = this.#deps;
    if (this.#timer !== undefined || ![...feeds].some((feed) => isLeavable(feed, roster))) return;
    this.#timer = clock.after(lookEveryMs, () => {
      this.#timer = undefined;
      this.#look();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }

  #look(): void {
    const { roster, feeds, leave } = this.#deps;
    for (const feed of feeds) {
      if (!feed.asking) continue;
      const { source } = feed;
      const isDead = roster.restMs(source) > 0 && roster.alternativeTo(source) !== undefined;
      const isLate = feed.optional && feed.firstByteMs > optionalAskMs;
      if (isDead) leave(feed, new AppError('UPSTREAM_UNREACHABLE', `${source.origin} was found to be away`));
      else if (isLate) leave(feed, new AppError('UPSTREAM_TIMEOUT', `${source.origin} took too long to begin`));
    }
  }
}

function isLeavable(feed: Feed, roster: SourceRoster): boolean {
  return feed.asking && (feed.optional || roster.size > 1);
}
