import type { Digest } from '../../core/digest.ts';

/**
 * Orders what touches the file of one digest: opening, committing, removing.
 *
 * Invariants: works of one digest run one at a time, in the order of `run`, whatever became of the ones before; works of
 * different digests run freely. A digest is busy from `run` until its last work ended, so that who finds it idle and
 * calls `run` in the same tick knows that nothing comes between. There is no cancellation: works are short file
 * operations, and half of one would leave the catalog and the disk apart.
 */
export class DigestQueue {
  readonly #tails = new Map<Digest, Promise<void>>();

  isBusy(digest: Digest): boolean {
    return this.#tails.has(digest);
  }

  run<T>(digest: Digest, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(digest);
    const result = before === undefined ? work() : before.then(work);
    const tail: Promise<void> = result.then(
      () => this.#leave(digest, tail),
      () => this.#leave(digest, tail),
    );
    this.#tails.set(digest, tail);
    return result;
  }

  /** Resolves once nothing runs or waits. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }

  #leave(digest: Digest, tail: Promise<void>): void {
    if (this.#tails.get(digest) === tail) this.#tails.delete(digest);
  }
}
