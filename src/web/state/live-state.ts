import type {
  FlightEntry,
  PreheatEntry,
  PreheatImageEntry,
  PullEntry,
  StateDocument,
} from '../../admin/state-document.ts';
import type { Status } from '../../admin/status.ts';
import { onceEach } from '../../core/once-each.ts';
import type { ClusterSnapshot } from '../../pull/cluster-snapshot.ts';
import type { PullSnapshot } from '../../pull/pull-board.ts';
import type { EffectSnapshot } from '../../telemetry/effect-snapshot.ts';
import type { UpstreamSnapshot } from '../../upstream/upstream-snapshot.ts';

/** Its images in the order in which they were asked for. */
export type ShownPreheat = Omit<PreheatEntry, 'images'> & { readonly images: readonly PreheatImageEntry[] };

/** Everything that the page shows live. Undefined: nothing was told yet. */
export interface LiveState {
  /** The one that was asked for last comes first. */
  readonly pulls: readonly PullSnapshot[] | undefined;
  /** The one that began last comes first. */
  readonly flights: readonly FlightEntry[] | undefined;
  /** The one that was started last comes first. */
  readonly preheats: readonly ShownPreheat[] | undefined;
  readonly upstreams: readonly UpstreamSnapshot[] | undefined;
  /** null: this node is alone. */
  readonly cluster: ClusterSnapshot | null | undefined;
  readonly status: Status | undefined;
  readonly effect: EffectSnapshot | undefined;
}

export const nothingKnown: LiveState = {
  pulls: undefined,
  flights: undefined,
  preheats: undefined,
  upstreams: undefined,
  cluster: undefined,
  status: undefined,
  effect: undefined,
};

/** What has not changed in the document is the same object in the state: whoever shows it has nothing to do. */
export function stateOf(document: StateDocument): LiveState {
  const { pulls, flights, preheats, upstreams, cluster = null, status, effect } = document;
  return {
    pulls: pullsOf(pulls),
    flights: flightsOf(flights),
    preheats: preheatsOf(preheats),
    upstreams: upstreamsOf(upstreams),
    cluster,
    status,
    effect: effectOf(effect),
  };
}

const pullOf = onceEach((pull: PullEntry): PullSnapshot => ({ ...pull, layers: Object.values(pull.layers) }));

const pullsOf = onceEach((pulls: StateDocument['pulls']) =>
  Object.values(pulls)
    .map(pullOf)
    .sort((a, b) => b.lastAskedAtMs - a.lastAskedAtMs),
);

const flightsOf = onceEach((flights: StateDocument['flights']) =>
  Object.values(flights).sort((a, b) => b.startedAtMs - a.startedAtMs),
);

const preheatOf = onceEach(
  (preheat: PreheatEntry): ShownPreheat => ({ ...preheat, images: Object.values(preheat.images) }),
);

const preheatsOf = onceEach((preheats: StateDocument['preheats']) =>
  Object.values(preheats)
    .map(preheatOf)
    .sort((a, b) => b.startedAtMs - a.startedAtMs),
);

const upstreamsOf = onceEach((upstreams: StateDocument['upstreams']) => Object.values(upstreams));

const effectOf = onceEach(
  (effect: StateDocument['effect']): EffectSnapshot => ({
    ...effect,
    points: Object.values(effect.points).sort((a, b) => a.atMs - b.atMs),
  }),
);
