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
  /** Only who has more. */
  readonly onlyAhead?: boolean;
  readonly avoid: readonly string[];
  /** Of those who have all of it only these count; undefined: all. */
  readonly among?: readonly string[] | undefined;
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
/** What is added where nobody knows from where its bytes come. */
const unknownWayCost = 1000;

/**
 * Whom to read a blob from: of those who have room for a child, one of the own zone, one who is not behind, one with few
 * children, and one near the beginning; undefined where there is none. So a zone is crossed once, and the nodes stand in
 * chains: with lines as fast as each other, that is how the last one has it nearly as early as the first. Never one who reads
 * from this node, at whatever remove: that would be a ring in which nobody gets anything. One who reads from somebody that
 * nobody has heard of may be in such a ring (an engine that was started anew hears of nodes one by one), or in a dead end: it
 * is of use for what it has already. Pure; takes time in proportion to the holders.
 */
export function chooseHolder<T extends HolderFacts>(ask: HolderAsk, holders: readonly T[]): T | undefined {
  const readers = readersOf(ask.node, holders);
  const isBeginning = ({ isComplete, parents }: HolderFacts) => isComplete || parents.length === 0;
  const depths = stepsFrom(
    holders.filter(isBeginning).map(({ node }) => node),
    readers,
  );
  const below = stepsFrom([ask.node], readers);
  let best: { readonly holder: T; readonly cost: number } | undefined;
  for (const holder of holders) {
    const { node } = holder;
    if (below.has(node) || ask.avoid.includes(node)) continue;
    if (ask.onlyAhead === true && !isAhead(holder, ask)) continue;
    if (holder.isComplete && ask.among?.includes(node) === false) continue;
    const has = readers.get(node)?.length ?? 0;
    const depth = depths.get(node);
    if (has >= ask.maxChildren || (depth === undefined && holder.prefixBytes <= ask.prefixBytes)) continue;
    const zone = holder.zone === ask.zone ? 0 : otherZoneCost;
    const behind = isBehind(holder, ask) ? behindCost : 0;
    const cost = zone + behind + has * childCost + (depth ?? unknownWayCost);
    const isBetter = best === undefined || cost < best.cost || (cost === best.cost && node < best.holder.node);
    if (isBetter) best = { holder, cost };
  }
  return best?.holder;
}

/** It has less than this node: what is wanted of it is still to come to it. */
export function isBehind(holder: HolderFacts, ask: Pick<HolderAsk, 'prefixBytes'>): boolean {
  return !holder.isComplete && holder.prefixBytes < ask.prefixBytes;
}

function isAhead(holder: HolderFacts, ask: Pick<HolderAsk, 'prefixBytes'>): boolean {
  return holder.isComplete || holder.prefixBytes > ask.prefixBytes;
}

/** Who reads from each. Where `asking` reads from does not count: that is what it is about to change. */
function readersOf(asking: string, holders: readonly HolderFacts[]): ReadonlyMap<string, readonly string[]> {
  const readers = new Map<string, string[]>();
  for (const { node, isComplete, parents } of holders) {
    if (node === asking || isComplete) continue;
    for (const parent of parents) {
      const known = readers.get(parent);
      if (known === undefined) readers.set(parent, [node]);
      else known.push(node);
    }
  }
  return readers;
}

/** The fewest steps that bytes take from any of `beginnings` to each node that they come to. */
function stepsFrom(
  beginnings: readonly string[],
  readers: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, number> {
  const steps = new Map(beginnings.map((node) => [node, 0]));
  let level = beginnings;
  for (let depth = 1; level.length > 0; depth++) {
    const next = level.flatMap((node) => readers.get(node) ?? []).filter((node) => !steps.has(node));
    for (const node of next) steps.set(node, depth);
    level = [...new Set(next)];
  }
  return steps;
}
