import { onceEach } from '../core/once-each.ts';
import { type FlightSnapshot, flightId } from '../flights/flight-snapshot.ts';
import type { ClusterSnapshot } from '../pull/cluster-snapshot.ts';
import type { PreheatImageSnapshot, PreheatSnapshot } from '../pull/preheat/preheat-snapshot.ts';
import type { LayerSnapshot, PullSnapshot } from '../pull/pull-board.ts';
import type { EffectPoint, EffectSnapshot } from '../telemetry/effect-snapshot.ts';
import type { UpstreamSnapshot } from '../upstream/upstream-snapshot.ts';
import type { Status } from './status.ts';

/** The parts of what viewers are shown, as the other routes of the API have them. */
export interface StateParts {
  readonly pulls: readonly PullSnapshot[];
  /** Those in progress first, then those that ended, the latest first. */
  readonly flights: readonly FlightSnapshot[];
  /** Those that run and the last that ended. */
  readonly preheats: readonly PreheatSnapshot[];
  readonly upstreams: readonly UpstreamSnapshot[];
  /** Undefined: this node is alone. */
  readonly cluster: ClusterSnapshot | undefined;
  readonly status: Status;
  readonly effect: EffectSnapshot;
}

/** Viewers are told of so many preheats that ended. */
export const endedPreheatsShown = 10;

/** All that viewers are shown, as one document: what has a name stands under it, so that a merge patch can tell what changed. */
export interface StateDocument {
  /** By id. */
  readonly pulls: Readonly<Record<string, PullEntry>>;
  readonly flights: Readonly<Record<string, FlightEntry>>;
  readonly preheats: Readonly<Record<string, PreheatEntry>>;
  /** By name. */
  readonly upstreams: Readonly<Record<string, UpstreamSnapshot>>;
  readonly cluster: ClusterSnapshot | undefined;
  readonly status: Status;
  readonly effect: EffectEntry;
}

export type PullEntry = Omit<PullSnapshot, 'layers'> & {
  /** By position, from 0: of one digest an image may have several. */
  readonly layers: Readonly<Record<string, LayerSnapshot>>;
};

export type FlightEntry = FlightSnapshot & { readonly id: string };

/** Without what an image may have hundreds or thousands of. */
export type PreheatEntry = Omit<PreheatSnapshot, 'images'> & {
  /** By position, from 0. */
  readonly images: Readonly<Record<string, PreheatImageEntry>>;
};

export type PreheatImageEntry = Omit<PreheatImageSnapshot, 'layers' | 'platforms'>;

export type EffectEntry = Omit<EffectSnapshot, 'points'> & {
  /** By `atMs`. */
  readonly points: Readonly<Record<string, EffectPoint>>;
};

/** Of an object that comes again the same entry is made again. */
export function stateDocument(parts: StateParts): StateDocument {
  const { pulls, flights, preheats, upstreams, cluster, status, effect } = parts;
  return {
    pulls: Object.fromEntries(pulls.map((pull) => [pull.id, pullEntry(pull)])),
    flights: flightsById(flights),
    preheats: Object.fromEntries(preheats.map((preheat) => [preheat.id, preheatEntry(preheat)])),
    upstreams: Object.fromEntries(upstreams.map((upstream) => [upstream.name, upstream])),
    cluster,
    status,
    effect: { ...effect, points: Object.fromEntries(effect.points.map((point) => [point.atMs, point])) },
  };
}

/** One that fails and is tried again within the same millisecond has the same id: the first that is listed counts. */
function flightsById(flights: readonly FlightSnapshot[]): Readonly<Record<string, FlightEntry>> {
  const known = new Map<string, FlightEntry>();
  for (const flight of flights.map(flightEntry)) if (!known.has(flight.id)) known.set(flight.id, flight);
  return Object.fromEntries(known);
}

const pullEntry = onceEach(
  (pull: PullSnapshot): PullEntry => ({
    ...pull,
    layers: Object.fromEntries(pull.layers.map((layer, position) => [position, layer])),
  }),
);
const preheatEntry = onceEach(
  (preheat: PreheatSnapshot): PreheatEntry => ({
    ...preheat,
    images: Object.fromEntries(preheat.images.map((image, position) => [position, preheatImageEntry(image)])),
  }),
);
const preheatImageEntry = onceEach(
  ({ layers: _, platforms: _1, ...image }: PreheatImageSnapshot): PreheatImageEntry => image,
);
const flightEntry = onceEach((flight: FlightSnapshot): FlightEntry => ({ id: flightId(flight), ...flight }));
