import type { Clock } from '../../core/clock.ts';
import { type CatalogDatabase, isCatalogTrouble } from './catalog-database.ts';

const maxWrites = 5000;
// All that waits is written at once, or none of it: to try that at each write would hold up whoever makes one.
const tryAgainAfterMs = 1000;

export interface CatalogBacklogDeps {
  readonly clock: Clock;
  readonly database: Pick<CatalogDatabase, 'transaction'>;
  readonly health: { worked(trouble: 'catalog'): void };
  /** Called after what may have made something untrue that others were told. */
  readonly onLoss: () => void;
}

/**
 * What the catalog could not be told, kept until it can: a disk that is full or takes no changes costs no pull.
 *
 * Invariants: writes reach the catalog in the order in which they were made, so while one waits all later ones do, too.
 * The backlog is bounded: when it is full, all of it is forgotten (`isComplete` says so), which costs asking upstream
 * again and a walk over the stored files at the next start. `epoch` changes whenever the backlog is emptied: whoever
 * remembers what is in it (the overlays of `SteadyBlobs` and `SteadyCatalog`) forgets that then. A crash loses it. Whatever
 * waits, or is forgotten here, may be a loss (`onLoss`): what it is nobody asks.
 */
export class CatalogBacklog {
  readonly #deps: CatalogBacklogDeps;
  #writes: (() => void)[] = [];
  #triedAtMs = 0;
  #epoch = 0;
  #isComplete = true;

  constructor(deps: CatalogBacklogDeps) {
    this.#deps = deps;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get isEmpty(): boolean {
    return this.#writes.length === 0;
  }

  /** Whether the catalog has been told everything, or can still be. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Does it now, or later where the catalog is in trouble; says whether it is done. What `write` throws else is thrown. */
  write(write: () => void): boolean {
    try {
      if (!this.isEmpty) {
        if (this.#deps.clock.monotonic() - this.#triedAtMs < tryAgainAfterMs) return this.#keep(write);
        this.drain();
      }
      write();
      this.#deps.health.worked('catalog');
      return true;
    } catch (error) {
      if (!isCatalogTrouble(error)) throw error;
      this.#triedAtMs = this.#deps.clock.monotonic();
      return this.#keep(write);
    }
  }

  /** What the catalog says, or `otherwise` where it is in trouble. */
  read<T>(read: () => T, otherwise: T): T {
    try {
      return read();
    } catch (error) {
      if (!isCatalogTrouble(error)) throw error;
      return otherwise;
    }
  }

  /** Writes all that waits. Throws where the catalog is still in trouble; then all of it waits on. */
  drain(): void {
    if (this.#writes.length === 0) return;
    this.#triedAtMs = this.#deps.clock.monotonic();
    this.#deps.database.transaction(() => {
      for (const write of this.#writes) attempt(write);
    });
    this.#empty();
  }

  #keep(write: () => void): false {
    if (this.#writes.length >= maxWrites) {
      this.#isComplete = false;
      this.#empty();
    }
    this.#writes.push(write);
    // The caller remembers it in this very tick.
    this.#deps.onLoss();
    return false;
  }

  #empty(): void {
    this.#writes = [];
    this.#epoch++;
    this.#deps.onLoss();
  }
}

/** What the catalog refuses for what it is, it would refuse for ever. */
function attempt(write: () => void): void {
  try {
    write();
  } catch (error) {
    if (isCatalogTrouble(error)) throw error;
  }
}
