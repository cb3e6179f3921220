import { LRUCache } from 'lru-cache';
import type { Digest } from '../../core/digest.ts';
import { type Scope, scopeKey } from '../../core/scope.ts';
import { SharedUse } from '../../core/shared-use.ts';
import type { BlobLease, Keep } from '../../pull/depot.ts';
import { HitCount } from './hit-notes.ts';
import { KeepTerm, type KeepTermDeps } from './keep-term.ts';

/** A blob that the scope has. */
export interface DescribedBlob {
  readonly sizeBytes: number;
  readonly term: KeepTerm;
  readonly count: HitCount;
}

export interface KnownBlob {
  readonly lease: BlobLease;
  readonly term: KeepTerm;
  readonly use: SharedUse;
  readonly count: HitCount;
  /** Of this lease. */
  uses: number;
}

/**
 * The blobs that this gateway has a lease on, and where they may be served from; and what HEAD was told of others.
 *
 * Invariants: either is found only in the scope that it was given for (P9), before its time is up and while the count of
 * changes is the same. To read of a lease one has to enter its use first and to look here again: what is found after that
 * stays until it is left.
 */
export class KnownBlobs {
  readonly #deps: KeepTermDeps;
  readonly #known: LRUCache<string, KnownBlob>;
  readonly #described: LRUCache<string, DescribedBlob>;

  constructor(deps: KeepTermDeps, options: { maxEntries: number }) {
    this.#deps = deps;
    this.#known = new LRUCache({ max: options.maxEntries });
    this.#described = new LRUCache({ max: options.maxEntries });
  }

  get size(): number {
    return this.#known.size;
  }

  /** For HEAD: from a lease, or from what was said to HEAD before. */
  describe(key: string): DescribedBlob | undefined {
    const leased = this.#known.get(key);
    if (leased?.term.stands(this.#deps)) return { ...leased, sizeBytes: leased.lease.sizeBytes };
    const described = this.#described.get(key);
    if (described === undefined) return undefined;
    if (described.term.stands(this.#deps)) return described;
    this.#described.delete(key);
    return undefined;
  }

  /** For those who have its bytes from elsewhere: whether they may be given. The file may be gone a moment later. */
  granted(key: string): KnownBlob | undefined {
    const known = this.#known.get(key);
    return known !== undefined && !known.use.isTakenBack && known.term.stands(this.#deps) ? known : undefined;
  }

  /** As `granted`, and its use is entered: whoever gets it has to leave. */
  enter(scope: Scope, digest: Digest): KnownBlob | undefined {
    const known = this.#known.get(blobKey(scope, digest));
    if (known === undefined) return undefined;
    const entered = known.use.enter();
    // Only now: what changes from here on waits until the use is left.
    if (entered && known.term.stands(this.#deps)) return known;
    if (entered) known.use.leave();
    this.forget(scope, digest, known);
    return undefined;
  }

  add(scope: Scope, digest: Digest, lease: BlobLease): void {
    const use = new SharedUse(new Int32Array(lease.words), lease.index);
    const [term, count] = [new KeepTerm(lease.keep, this.#deps.clock), new HitCount(scope, digest, undefined)];
    this.#known.set(blobKey(scope, digest), { lease, term, use, count, uses: 0 });
  }

  addDescribed(scope: Scope, digest: Digest, sizeBytes: number, keep: Keep): void {
    const [term, count] = [new KeepTerm(keep, this.#deps.clock), new HitCount(scope, digest, undefined)];
    this.#described.set(blobKey(scope, digest), { sizeBytes, term, count });
  }

  /** `known` is of no use any more. */
  forget(scope: Scope, digest: Digest, known: KnownBlob): void {
    const key = blobKey(scope, digest);
    if (this.#known.peek(key) === known) this.#known.delete(key);
  }
}

/** Under which a blob is remembered in a scope. */
export function blobKey(scope: Scope, digest: Digest): string {
  return `${scopeKey(scope)} ${digest}`;
}
