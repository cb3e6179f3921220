/**
 * Lets the syncs that nobody waits for go one after the other: a sync of a large file holds one of the few threads that all
 * file operations share, and readers come first.
 *
 * Invariants: works run one at a time, in the order of `run`; a failure is the business of the work. No cancellation: what
 * waits is waited for at the end of the store.
 */
export class SyncTurn {
  #last: Promise<void> = Promise.resolve();

  /** @param work never rejects */
  run(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work);
    return this.#last;
  }

  /** Resolves once nothing runs or waits. */
  async idle(): Promise<void> {
    for (let seen: Promise<void> | undefined; seen !== this.#last; ) {
      seen = this.#last;
      await seen;
    }
  }
}
