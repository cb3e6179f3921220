/** A node that has a blob or brings it, as the directory knows it. */
export interface HolderFacts {
  readonly node: string;
  readonly zone: string | undefined;
  readonly prefixBytes: number;
  readonly isComplete: boolean;
  /** Whom it reads from. */
  readonly parents: readonly string[];
}

export interface HolderAsk {
  readonly node: string;
  readonly zone: string | undefined;
  readonly prefixBytes: number;
  readonly avoid: readonly string[];
  readonly maxChildren: number;
}

/** What each costs, so that the first counts before the second, and so on. */
const otherZoneCost = 1_000_000;
const behindCost = 100_000;
/**
 * One more child halves what each gets, one more step in a chain adds the time of a few chunks: so a chain grows to this
 * length before anybody has two children.
 */
const childCost = 32;
const deepest = 64;

/**
 * Whom to read a blob from: of those who have room for a child, one of the own zone, one who is not behind, one with few
 * children, and one near the beginning; undefined where there is none. So a zone is crossed once, and the nodes stand in
 * chains: with lines as fast as each other, that is how the last one has it nearly as early as the first. Never one who reads
 * from this node, at whatever remove: that would be a ring in which nobody gets anything. Pure.
 */
export function chooseHolder<T extends HolderFacts>(ask: HolderAsk, holders: readonly T[]): T | undefined {
  const byNode = new Map(holders.map((holder) => [holder.node, holder]));
  const children = new Map<string, number>();
  for (const { node, parents } of holders) {
    if (node === ask.node) continue;
    for (const parent of parents) children.set(parent, (children.get(parent) ?? 0) + 1);
  }
  let best: { readonly holder: T; readonly cost: number } | undefined;
  for (const holder of holders) {
    const { node } = holder;
    if (node === ask.node || ask.avoid.includes(node)) continue;
    const has = children.get(node) ?? 0;
    const depth = has < ask.maxChildren ? depthOf(node, ask.node, byNode) : undefined;
    if (depth === undefined) continue;
    const zone = holder.zone === ask.zone ? 0 : otherZoneCost;
    const behind = isBehind(holder, ask) ? behindCost : 0;
    const cost = zone + behind + has * childCost + depth;
    const isBetter = best === undefined || cost < best.cost || (cost === best.cost && node < best.holder.node);
    if (isBetter) best = { holder, cost };
  }
  return best?.holder;
}

/** It has less than this node: what is wanted of it is still to come to it. */
export function isBehind(holder: HolderFacts, ask: Pick<HolderAsk, 'prefixBytes'>): boolean {
  return !holder.isComplete && holder.prefixBytes < ask.prefixBytes;
}

/** Steps from where the bytes come to this node, at most `deepest`; undefined where they come by way of `through`. */
function depthOf(node: string, through: string, byNode: ReadonlyMap<string, HolderFacts>): number | undefined {
  let depth = 0;
  let level = [node];
  const seen = new Set(level);
  while (depth < deepest) {
    const above: string[] = [];
    for (const name of level) {
      const holder = byNode.get(name);
      if (holder === undefined || holder.isComplete) continue;
      for (const parent of holder.parents) {
        if (parent === through) return undefined;
        if (seen.has(parent) || !byNode.has(parent)) continue;
        seen.add(parent);
        above.push(parent);
      }
    }
    if (above.length === 0) return depth;
    level = above;
    depth++;
  }
  return depth;
}
