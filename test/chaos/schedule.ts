import type { Random } from '../../src/flights/testing/random.ts';
import { constantKinds, type FaultKind, kindNamed, type Target } from './fault-kinds.ts';
import { between, chanceOf } from './seeds.ts';

/** A fault with its place in time. Whatever else it decides follows from `seed`. */
export interface PlannedFault {
  readonly id: number;
  readonly kind: string;
  readonly target: Target;
  /** From the start of the run. */
  readonly fromMs: number;
  readonly lengthMs: number;
  readonly seed: number;
}

export interface ScheduleOptions {
  readonly seed: number;
  readonly kinds: readonly string[];
  /** Between two faults, on average. */
  readonly everyMs: number;
}

/** After onepull was started again it is left alone for so long: it should meet other faults as well. */
const restMs = 2000;
/** At one endpoint. */
const mostAtOnce = 2;

/**
 * The faults of a run, without end, in the order of their start.
 *
 * Every kind comes up equally often: they are dealt from a deck that is shuffled anew once it is used up. A kind strikes
 * one target at a time; onepull itself suffers one thing at a time; of the endpoints that share content one at most sends
 * wrong bytes; and an endpoint suffers two things at a time at most: of more, each of which takes attempts to get past, there
 * would be no end within the time that a client waits. Whatever does not fit starts later.
 */
export function* schedule({ seed, kinds, everyMs }: ScheduleOptions): Generator<PlannedFault, void> {
  const deck = kinds.filter((name) => !constantKinds.has(name)).map(kindNamed);
  if (deck.length === 0) return;
  const busyUntilMs = new Map<string, number>();
  const endsAt = new Map<Target, number[]>();
  let atMs = everyMs;
  for (let id = 1, round = 0; ; round++) {
    for (const kind of shuffled(deck, chanceOf(seed, 'deck', round))) {
      const chance = chanceOf(seed, 'fault', id);
      const target = chance.pick(kind.targets) ?? 'onepull';
      const lengthMs = between(chance, kind.lengthMs[0], kind.lengthMs[1]);
      const place = placeOf(kind, target);
      const fromMs = Math.max(atMs, busyUntilMs.get(place) ?? 0, whenFew(endsAt.get(target) ?? []));
      busyUntilMs.set(place, fromMs + lengthMs + (target === 'onepull' ? restMs : 0));
      endsAt.set(target, [...(endsAt.get(target) ?? []), fromMs + lengthMs].sort((a, b) => a - b).slice(-mostAtOnce));
      yield { id, kind: kind.name, target, fromMs, lengthMs, seed: chance.below(2 ** 32) };
      atMs = fromMs + between(chance, Math.floor(everyMs / 2), Math.ceil(1.5 * everyMs));
      id++;
    }
  }
}

/** When fewer than `mostAtOnce` of the faults that end then are left. */
function whenFew(endsAtMs: readonly number[]): number {
  return endsAtMs.toSorted((a, b) => b - a)[mostAtOnce - 1] ?? 0;
}

/** What there is one of at a time. */
export function placeOf({ name, effect }: Pick<FaultKind, 'name' | 'effect'>, target: Target): string {
  if (target === 'onepull') return 'onepull';
  return effect === 'damage' ? name : `${name} at ${target}`;
}

function shuffled<T>(items: readonly T[], chance: Random): T[] {
  return items
    .map((item) => ({ item, rank: chance.next() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}
