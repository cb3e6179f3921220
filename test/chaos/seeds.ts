import { createHash } from 'node:crypto';
import { Random } from '../../src/flights/testing/random.ts';

/** The chance of one thing: always the same for a seed and a name, whatever else is drawn, and when. */
export function chanceOf(seed: number, ...name: readonly (string | number)[]): Random {
  return new Random(
    createHash('sha256')
      .update(`${seed}/${name.join('/')}`)
      .digest()
      .readUInt32LE(),
  );
}

/** A whole number from `low` to `high`, both included. */
export function between(chance: Random, low: number, high: number): number {
  return low + chance.below(high - low + 1);
}
