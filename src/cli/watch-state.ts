import { hasMembers, type Members, patched } from '../core/merge-patch.ts';
import {
  type ClusterAnswer,
  type FlightAnswer,
  flightEntry,
  type PullAnswer,
  pullEntry,
  type StatusAnswer,
  stateDocument,
} from './admin-answers.ts';
import type { ServerEvent } from './event-stream.ts';
import { isActive, isUnderWay } from './progress-text.ts';

/** What an event changed: of lists the entries that are new or other than before, whole. */
export interface WatchChange {
  /** It is everything, and nothing that was told before counts. */
  readonly isWhole: boolean;
  readonly pulls?: readonly PullAnswer[];
  readonly flights?: readonly FlightAnswer[];
  /** By id. */
  readonly gone?: Readonly<Record<'pulls' | 'flights' | 'preheats', readonly string[]>>;
  /** Sections that have changed, as they are now. */
  readonly [section: string]: unknown;
}

/** What the events so far say together. */
export class WatchState {
  #document: Members = {};
  readonly #pulls = new Map<string, PullAnswer>();
  readonly #flights = new Map<string, FlightAnswer>();
  status: StatusAnswer | undefined;
  cluster: ClusterAnswer | undefined;

  /**
   * Takes over an event; returns what it changed, or undefined: it is of a kind that says nothing of the state. Throws where
   * it cannot be read.
   */
  apply({ event, data }: ServerEvent): WatchChange | undefined {
    if (event !== 'state' && event !== 'change') return undefined;
    const isWhole = event === 'state';
    const before: Members = isWhole ? {} : this.#document;
    const after = patched(before, JSON.parse(data)) as Members;
    const { status, cluster } = stateDocument.parse(after);
    this.#document = after;
    this.status = status;
    this.cluster = cluster;
    if (isWhole) for (const known of [this.#pulls, this.#flights]) known.clear();
    const pulls = changedIn(before.pulls, after.pulls).map((entry) => pullEntry.parse(entry));
    const flights = changedIn(before.flights, after.flights).map((entry) => flightEntry.parse(entry));
    for (const pull of pulls) this.#pulls.set(pull.id, pull);
    for (const flight of flights) this.#flights.set(flight.id, flight);
    const gone = {
      pulls: goneOf(this.#pulls, after.pulls),
      flights: goneOf(this.#flights, after.flights),
      preheats: isWhole ? [] : goneIn(before.preheats, after.preheats),
    };
    return {
      isWhole,
      ...(pulls.length > 0 && { pulls }),
      ...(flights.length > 0 && { flights }),
      ...(Object.values(gone).some((ids) => ids.length > 0) && { gone }),
      ...changedSections(before, after),
    };
  }

  /** Those under way in the order in which they began, so that lines keep their place; then the others, the latest first. */
  get pulls(): readonly PullAnswer[] {
    const all = [...this.#pulls.values()];
    return [
      ...all.filter(isUnderWay).sort((one, other) => one.firstAskedAtMs - other.firstAskedAtMs),
      ...all.filter((pull) => !isUnderWay(pull)).sort((one, other) => other.lastAskedAtMs - one.lastAskedAtMs),
    ];
  }

  /** The transfer of a blob that is under way. */
  flightOf(digest: string): FlightAnswer | undefined {
    return [...this.#flights.values()].find((flight) => flight.digest === digest && isActive(flight));
  }

  get bytesPerSecond(): number {
    return totalRate([...this.#flights.values()]);
  }
}

export function totalRate(flights: readonly FlightAnswer[]): number {
  return flights.reduce((sum, flight) => sum + (isActive(flight) ? flight.rateBytesPerSecond : 0), 0);
}

/** What a patch does not touch stays the same object. */
function changedIn(before: unknown, after: unknown): unknown[] {
  const known = membersOf(before);
  return Object.entries(membersOf(after)).flatMap(([name, entry]) => (known[name] === entry ? [] : [entry]));
}

/** Forgets what is there no more; returns its names. */
function goneOf(known: Map<string, unknown>, after: unknown): string[] {
  const left = membersOf(after);
  return [...known.keys()].filter((id) => !Object.hasOwn(left, id) && known.delete(id));
}

function changedSections(before: Members, after: Members): Members {
  const { pulls, flights, ...sections } = after;
  const changed = Object.entries(sections).filter(([name, section]) => before[name] !== section);
  const { upstreams, effect, preheats, ...rest } = Object.fromEntries(changed);
  const changedPreheats = preheats === undefined ? [] : changedIn(before.preheats, preheats);
  return {
    ...rest,
    ...(changedPreheats.length > 0 && { preheats: changedPreheats.map(withImageList) }),
    ...(upstreams !== undefined && { upstreams: Object.values(membersOf(upstreams)) }),
    ...(hasMembers(effect) && {
      effect: { ...effect, points: changedIn(membersOf(before.effect).points, effect.points) },
    }),
    ...(before.cluster !== undefined && after.cluster === undefined && { cluster: null }),
  };
}

/** Where nothing of them is kept here. */
function goneIn(before: unknown, after: unknown): string[] {
  const left = membersOf(after);
  return Object.keys(membersOf(before)).filter((id) => !Object.hasOwn(left, id));
}

/** Of a preheat the images, which stand under their position, as a list. */
function withImageList(preheat: unknown): Members {
  const { images, ...rest } = membersOf(preheat);
  return { ...rest, images: Object.values(membersOf(images)) };
}

function membersOf(value: unknown): Members {
  return hasMembers(value) ? value : {};
}
