import { setTimeout as delay } from 'node:timers/promises';
import type { Internet } from './internet.ts';
import { chanceOf } from './seeds.ts';
import { type Placed, siblings, type World } from './world.ts';

interface Move {
  readonly digest: string;
  /** Epoch ms: when it surely was not there yet, and when it surely was. */
  readonly before: number;
  readonly after: number;
}

const moveEveryMs = 700;

/** Moves the moving tags of all repositories, and remembers where each pointed when. */
export class TagMoves {
  readonly #world: World;
  readonly #seed: number;
  readonly #internet: Internet;
  readonly #history = new Map<string, Move[]>();
  #count = 0;

  constructor(world: World, seed: number, internet: Internet) {
    this.#world = world;
    this.#seed = seed;
    this.#internet = internet;
  }

  get count(): number {
    return this.#count;
  }

  /** Gives every repository its moving tag. */
  async moveAll(): Promise<void> {
    const firsts = Map.groupBy(this.#world.images, nameOf);
    for (const [first] of firsts.values()) if (first !== undefined) await this.#move(first);
  }

  /** One tag after the other, until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    for (let n = 0; !signal.aborted; n++) {
      const chance = chanceOf(this.#seed, 'move', n);
      const place = chance.pick(this.#world.images);
      const moved = place && chance.pick(siblings(this.#world, place));
      if (moved !== undefined) await this.#move(moved);
      await delay(moveEveryMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Since when the tag of this image's repository points elsewhere, or undefined where it still points there. */
  leftAt(placed: Placed, digest: string): number | undefined {
    const moves = this.#history.get(nameOf(placed)) ?? [];
    const last = moves.findLastIndex((move) => move.digest === digest);
    return moves[last + 1]?.after;
  }

  async #move(placed: Placed): Promise<void> {
    const before = Date.now();
    await this.#internet.move(this.#world.images.indexOf(placed));
    const moves = this.#history.get(nameOf(placed)) ?? [];
    this.#history.set(nameOf(placed), [...moves, { digest: placed.image.manifest.digest, before, after: Date.now() }]);
    this.#count++;
  }
}

function nameOf({ upstream, repository }: Placed): string {
  return `${upstream}/${repository}`;
}
