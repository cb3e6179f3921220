import type { Digest } from '../../core/digest.ts';

interface Kept {
  readonly holders: number;
  readonly sizeBytes: number;
}

/**
 * Content that somebody has promised to be here for a while: eviction does not take it.
 *
 * Invariants: what is kept stays until all who keep it have let it go, each once. What leaves all the same (an operator purges
 * it) takes no room any more; who kept it looks at the end whether it is there. A crash forgets all of it.
 */
export class KeptContent {
  readonly #kept = new Map<Digest, Kept>();
  #bytes = 0;

  /** What all of it takes of the store. */
  get bytes(): number {
    return this.#bytes;
  }

  has(digest: Digest): boolean {
    return this.#kept.has(digest);
  }

  /** Until the returned function is called. `sizeBytes`: what it takes of the store. */
  keep(digest: Digest, sizeBytes: number): () => void {
    this.#set(digest, (this.#kept.get(digest)?.holders ?? 0) + 1, sizeBytes);
    let isKept = true;
    return () => {
      const { holders = 0, sizeBytes: takenBytes = 0 } = this.#kept.get(digest) ?? {};
      if (isKept) this.#set(digest, holders - 1, takenBytes);
      isKept = false;
    };
  }

  /** It is not in the store any more. */
  left(digest: Digest): void {
    const { holders = 0 } = this.#kept.get(digest) ?? {};
    this.#set(digest, holders, 0);
  }

  #set(digest: Digest, holders: number, sizeBytes: number): void {
    this.#bytes += (holders > 0 ? sizeBytes : 0) - (this.#kept.get(digest)?.sizeBytes ?? 0);
    if (holders > 0) this.#kept.set(digest, { holders, sizeBytes });
    else this.#kept.delete(digest);
  }
}
