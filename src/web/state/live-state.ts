import type { EffectSnapshot } from '../../telemetry/effect-snapshot.ts';
import type { LiveState, StateChange } from './contract.ts';

export const nothingKnown: LiveState = {
  pulls: undefined,
  flights: undefined,
  upstreams: undefined,
  cluster: undefined,
  status: undefined,
  effect: undefined,
};

/** The state after an event: a whole one replaces all that an earlier connection said, others what is in them. */
export function applyChange(state: LiveState, change: StateChange): LiveState {
  const { isWhole, gone, pulls, flights, effect, ...sections } = change;
  const known = isWhole ? nothingKnown : state;
  return {
    ...known,
    ...sections,
    pulls: merged(known.pulls, pulls, gone?.pulls)?.sort((a, b) => b.lastAskedAtMs - a.lastAskedAtMs),
    flights: merged(known.flights, flights, gone?.flights)?.sort((a, b) => b.startedAtMs - a.startedAtMs),
    effect: continued(known.effect, effect),
  };
}

/** What has not changed stays the same object: whoever shows it has nothing to do. */
function merged<T extends { readonly id: string }>(
  known: readonly T[] | undefined,
  changed: readonly T[] | undefined,
  gone: readonly string[] = [],
): T[] | undefined {
  if (known === undefined && changed === undefined) return undefined;
  const byId = new Map((known ?? []).map((entry) => [entry.id, entry]));
  for (const id of gone) byId.delete(id);
  for (const entry of changed ?? []) byId.set(entry.id, entry);
  return [...byId.values()];
}

function continued(known: EffectSnapshot | undefined, told: EffectSnapshot | undefined): EffectSnapshot | undefined {
  if (known === undefined || told === undefined) return told ?? known;
  const since = told.points[0]?.atMs ?? Number.POSITIVE_INFINITY;
  const points = [...known.points.filter(({ atMs }) => atMs < since), ...told.points].slice(-told.maxPoints);
  return { ...told, points };
}
