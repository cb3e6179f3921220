import type { Clock } from '../../core/clock.ts';
import type { CatalogDatabase } from './catalog-database.ts';

/**
 * The time of a use, by which eviction tells what was used last: the system's, for as long as that goes forward. While it
 * is behind what has been used already (it was set back, or was ahead for a while), each use comes one millisecond after
 * the one before, across restarts too: else whatever is used now would look older than all that lies unused, and leave first.
 */
export class UseClock implements Pick<Clock, 'now'> {
  readonly #clock: Clock;
  #lastMs: number;

  constructor(deps: { readonly clock: Clock; readonly database: CatalogDatabase }) {
    this.#clock = deps.clock;
    const newest = deps.database
      .prepare('SELECT max(accessed) AS last FROM blob WHERE parents = 0 AND pinned = 0')
      .get();
    this.#lastMs = typeof newest?.last === 'number' ? newest.last : 0;
  }

  /** Whole ms since the epoch, or ahead of it; never less than before. */
  now(): number {
    const nowMs = Math.trunc(this.#clock.now());
    this.#lastMs = nowMs >= this.#lastMs ? nowMs : this.#lastMs + 1;
    return this.#lastMs;
  }
}
