import { type FSWatcher, mkdirSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { type Digest, parseDigest } from '../../src/core/digest.ts';

/**
 * Which blobs came into the store and left it, as the file system tells. Each time that one came it had to be fetched
 * anew: that is what upstream's bytes are compared with.
 *
 * A blob that comes and goes within one turn of our loop is missed; the time between is far longer in practice, for
 * eviction takes what was not used for longest.
 */
export class StoreWatch implements Disposable {
  readonly #watcher: FSWatcher;
  readonly #folder: string;
  readonly #present = new Set<Digest>();
  readonly #arrivals = new Map<Digest, number>();
  readonly #lastArrivalAt = new Map<Digest, number>();
  #departures = 0;

  /** `root`: the data directory, which may not be there yet. */
  constructor(root: string) {
    this.#folder = join(root, 'blobs', 'sha256');
    mkdirSync(this.#folder, { recursive: true });
    this.#watcher = watch(this.#folder, (_, name) => {
      if (name !== null) this.#look(name);
    });
  }

  /** How often it came. */
  arrivals(digest: Digest): number {
    return this.#arrivals.get(digest) ?? 0;
  }

  /** When it came last, as epoch ms. */
  lastArrivalAt(digest: string): number | undefined {
    return this.#lastArrivalAt.get(digest as Digest);
  }

  get totalArrivals(): number {
    return [...this.#arrivals.values()].reduce((sum, count) => sum + count, 0);
  }

  get totalDepartures(): number {
    return this.#departures;
  }

  get present(): readonly Digest[] {
    return [...this.#present];
  }

  pathOf(digest: Digest): string {
    return join(this.#folder, digest.slice('sha256:'.length));
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }

  #look(name: string): void {
    const digest = parseDigest(`sha256:${name}`);
    if (digest === undefined) return;
    const isThere = statSync(join(this.#folder, name), { throwIfNoEntry: false }) !== undefined;
    if (isThere === this.#present.has(digest)) return;
    if (isThere) {
      this.#present.add(digest);
      this.#arrivals.set(digest, this.arrivals(digest) + 1);
      this.#lastArrivalAt.set(digest, Date.now());
    } else {
      this.#present.delete(digest);
      this.#departures++;
    }
  }
}
