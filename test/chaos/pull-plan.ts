import { between, chanceOf } from './seeds.ts';
import { movingTag, type World } from './world.ts';

/** How a pull goes about it. */
export interface PullPlan {
  readonly n: number;
  /** The image's place in the world. By the moving tag, another image of its repository may come. */
  readonly image: number;
  readonly tag: string;
  /** Layers are asked for in so many ranges at once. */
  readonly parts: number;
  /** The client takes its time: every blob takes at least so long. */
  readonly slowMs: number | undefined;
  /** The client leaves when this share of a blob has arrived. */
  readonly leaveAt: number | undefined;
}

export interface PullPlanOptions {
  readonly seed: number;
  readonly leaving: boolean;
}

/** Nothing special: besides the numbered pulls. */
export function plainPull(image: number, tag: string): PullPlan {
  return { n: -1, image, tag, parts: 1, slowMs: undefined, leaveAt: undefined };
}

/** How flat the curve of popularity is: the first image is asked for this many times as often as the one at that rank. */
const halfRank = 12;

/** The n-th pull of a run: always the same for a seed, whoever makes it. */
export function planPull(world: World, { seed, leaving }: PullPlanOptions, n: number): PullPlan {
  const chance = chanceOf(seed, 'pull', n);
  const image = chance.chance(0.002) ? world.images.length - 1 : rank(chance.next(), world.images.length - 1);
  const placed = world.images[image];
  if (placed === undefined) throw new Error('the world is empty');
  const style = chance.next();
  return {
    n,
    image,
    tag: chance.chance(0.25) ? movingTag : placed.tag,
    parts: style < 0.12 ? between(chance, 2, 5) : 1,
    slowMs: style >= 0.12 && style < 0.17 ? between(chance, 500, 3000) : undefined,
    leaveAt: leaving && style >= 0.17 && style < 0.27 ? chance.next() : undefined,
  };
}

/** A rank below `count`, as 1 / (rank + halfRank) is distributed. */
function rank(draw: number, count: number): number {
  const span = Math.log((count + halfRank) / halfRank);
  return Math.min(count - 1, Math.floor(halfRank * Math.exp(draw * span) - halfRank));
}
