import type { Status } from '../../admin/status.ts';
import type { FlightSnapshot } from '../../flights/flight-snapshot.ts';
import type { ClusterSnapshot } from '../../pull/cluster-snapshot.ts';
import type { PullSnapshot } from '../../pull/pull-board.ts';
import type { EffectSnapshot } from '../../telemetry/effect-snapshot.ts';
import type { UpstreamSnapshot } from '../../upstream/upstream-snapshot.ts';

/** In events each transfer has a name, as long as the process runs. */
export type NamedFlight = FlightSnapshot & { readonly id: string };

/** Everything that the page shows live. A section that is undefined was not told yet. */
export interface LiveState {
  readonly pulls: readonly PullSnapshot[] | undefined;
  readonly flights: readonly NamedFlight[] | undefined;
  readonly upstreams: readonly UpstreamSnapshot[] | undefined;
  /** null: this node is alone. */
  readonly cluster: ClusterSnapshot | null | undefined;
  readonly status: Status | undefined;
  readonly effect: EffectSnapshot | undefined;
}

/** The data of an event `state` of /api/v1/events. */
export interface StateChange {
  /** It replaces all that is known; otherwise what is not in it has not changed. */
  readonly isWhole: boolean;
  /** All, or those that are new or have changed, by id. */
  readonly pulls?: readonly PullSnapshot[];
  readonly flights?: readonly NamedFlight[];
  /** By id. */
  readonly gone?: { readonly pulls?: readonly string[]; readonly flights?: readonly string[] };
  readonly upstreams?: readonly UpstreamSnapshot[];
  readonly cluster?: ClusterSnapshot | null;
  readonly status?: Status;
  /** Of the points only the new ones, unless it is whole. */
  readonly effect?: EffectSnapshot;
}
