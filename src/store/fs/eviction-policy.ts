import type { Digest } from '../../core/digest.ts';

/** How far eviction goes, in bytes of usage. */
export interface EvictionGoals {
  /** Where to stop if what leaves is free to leave. */
  readonly wantedBytes: number;
  /** What has to be reached even at the cost of images that are partly in use. */
  readonly neededBytes: number;
}

/**
 * Whether to evict, and how far. For the cache's bound it begins when that would be passed and goes on to 90% of it: so a
 * full cache evicts once in a while, not at every commit, and eviction is done before the next fills need the room. For
 * the disk it goes no further than it must: others use it, too.
 *
 * @param lack what is missing within each of the two bounds; not positive: nothing
 */
export function evictionGoals(
  usageBytes: number,
  lack: { readonly cacheBytes: number; readonly diskBytes: number },
  maxBytes: number,
): EvictionGoals | undefined {
  const missing = Math.max(lack.cacheBytes, lack.diskBytes);
  if (missing <= 0) return undefined;
  const neededBytes = Math.max(0, usageBytes - missing);
  const roomyBytes = lack.cacheBytes > 0 ? Math.floor(maxBytes * 0.9) : neededBytes;
  return { neededBytes, wantedBytes: Math.min(neededBytes, roomyBytes) };
}

/** What planning needs to know of the references. */
export interface References {
  childrenOf(digest: Digest): readonly Digest[];
  /** How many manifests reference the digest, counted no further than `atMost`. */
  referrersOf(digest: Digest, atMost: number): number;
}

export interface UnitPlan {
  /** What leaves, manifests before what they reference. Digests that are referenced but not stored are among them. */
  readonly leaves: readonly Digest[];
  /** What only this unit references and yet stays, because it may not leave now. */
  readonly stays: readonly Digest[];
  /** All that what leaves references, shared or not. */
  readonly parts: readonly Digest[];
}

/**
 * What leaves with a root: all that only it references, directly or through what leaves with it. What may not leave
 * (it is open, being filled, pinned) stays, with all that it references.
 */
export function planUnit(root: Digest, references: References, mayLeave: (digest: Digest) => boolean): UnitPlan {
  const leaves = [root];
  const stays: Digest[] = [];
  const leavingReferrers = new Map<Digest, number>();
  // `leaves` grows while it is walked: each leaving manifest is visited once.
  for (const manifest of leaves) {
    for (const child of references.childrenOf(manifest)) {
      const leaving = (leavingReferrers.get(child) ?? 0) + 1;
      leavingReferrers.set(child, leaving);
      if (references.referrersOf(child, leaving + 1) > leaving) continue;
      (mayLeave(child) ? leaves : stays).push(child);
    }
  }
  return { leaves, stays, parts: [...leavingReferrers.keys()] };
}
