import type { Clock } from '../../core/clock.ts';

const closeWithinMs = 5000;

/**
 * Lets the syncs that nobody waits for go one after the other: a sync of a large file holds one of the few threads that all
 * file operations share, and readers come first.
 *
 * Invariants: works run one at a time, in the order of `run`; a failure is the business of the work. At the end of the
 * store what waits has its turn for a few seconds, and after that no more time than it takes to give up: a disk that is
 * slow must not keep the process from ending, and without a sync only a crash of the machine costs anything.
 */
export class SyncTurn {
  readonly #clock: Pick<Clock, 'monotonic'>;
  #last: Promise<void> = Promise.resolve();
  #closesAtMs = Number.POSITIVE_INFINITY;

  constructor(deps: { readonly clock: Pick<Clock, 'monotonic'> }) {
    this.#clock = deps.clock;
  }

  /** @param work never rejects; told whether there is time to sync */
  run(work: (isTime: boolean) => Promise<void>): Promise<void> {
    this.#last = this.#last.then(() => work(this.#clock.monotonic() < this.#closesAtMs));
    return this.#last;
  }

  /** Resolves once nothing runs or waits. */
  async close(): Promise<void> {
    this.#closesAtMs = this.#clock.monotonic() + closeWithinMs;
    for (let seen: Promise<void> | undefined; seen !== this.#last; ) {
      seen = this.#last;
      await seen;
    }
  }
}
