import { LRUCache } from 'lru-cache';
import type { ChangeCount } from '../core/change-count.ts';
import type { Clock } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import type { ContentStore } from '../store/content-store.ts';

export interface StoredMemoryDeps {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Grows whenever content leaves. */
  readonly changes: Pick<ChangeCount, 'value'>;
  readonly store: Pick<ContentStore, 'sizeOf'>;
}

/** Content comes without a fill only where somebody puts it there behind our back. A look may take one at the disk. */
const absentMs = 60_000;
/** Of what a store that fails has nothing is known. */
const failedMs = 1000;
const remembered = 50_000;
/** Each look may take one at the disk, and there may be tens of thousands: what is served waits in the same line. */
const looksAtOnce = 8;

type Known =
  | { readonly isStored: true; readonly changes: number }
  | { readonly isStored: false; readonly untilMs: number };

/**
 * Which content is in the store, remembered, so that who looks at many images once a second costs hardly anything. What is here
 * stays until something leaves the store; what is not here is asked for again when a fill of it has ended, and now and then.
 */
export class StoredMemory {
  readonly #deps: StoredMemoryDeps;
  readonly #known = new LRUCache<Digest, Known>({ max: remembered });
  #forgotten = 0;

  constructor(deps: StoredMemoryDeps) {
    this.#deps = deps;
  }

  /** Undefined: nobody knows without a look. */
  isStored(digest: Digest): boolean | undefined {
    const known = this.#known.get(digest);
    if (known === undefined) return undefined;
    const { changes, clock } = this.#deps;
    const isValid = known.isStored ? known.changes === changes.value : clock.monotonic() < known.untilMs;
    return isValid ? known.isStored : undefined;
  }

  /** Looks at each. In a store that fails nothing is there. */
  async look(digests: ReadonlySet<Digest>): Promise<void> {
    const left = digests.values();
    const some = async () => {
      for (const digest of left) await this.#look(digest);
    };
    await Promise.all(Array.from({ length: looksAtOnce }, some));
  }

  async #look(digest: Digest): Promise<void> {
    const { changes, clock, store } = this.#deps;
    const before = changes.value;
    const forgotten = this.#forgotten;
    let forMs = absentMs;
    const sizeBytes = await store.sizeOf(digest).catch(() => {
      forMs = failedMs;
      return undefined;
    });
    // What was forgotten meanwhile may have come after the look.
    if (sizeBytes === undefined && forgotten !== this.#forgotten) forMs = 0;
    const absent = { isStored: false, untilMs: clock.monotonic() + forMs } as const;
    this.#known.set(digest, sizeBytes === undefined ? absent : { isStored: true, changes: before });
  }

  /** It may be there now. */
  forget(digest: Digest): void {
    this.#forgotten++;
    this.#known.delete(digest);
  }
}
