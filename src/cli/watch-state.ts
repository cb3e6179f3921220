import type {
  ClusterAnswer,
  FlightAnswer,
  PullAnswer,
  StateEvent,
  StatusAnswer,
  UpstreamAnswer,
} from './admin-answers.ts';
import { isActive, isUnderWay } from './progress-text.ts';

/** What the events so far say together. */
export class WatchState {
  readonly #pulls = new Map<string, PullAnswer>();
  readonly #flights = new Map<string, FlightAnswer>();
  status: StatusAnswer | undefined;
  upstreams: readonly UpstreamAnswer[] = [];
  cluster: ClusterAnswer | null = null;

  /** Takes over what an event says; returns the pulls that are in it. */
  apply(event: StateEvent): readonly PullAnswer[] {
    const { isWhole, pulls = [], flights = [], gone, upstreams, cluster, status } = event;
    if (isWhole) {
      this.#pulls.clear();
      this.#flights.clear();
    }
    for (const pull of pulls) this.#pulls.set(pull.id, pull);
    for (const flight of flights) this.#flights.set(flight.id, flight);
    for (const id of gone?.pulls ?? []) this.#pulls.delete(id);
    for (const id of gone?.flights ?? []) this.#flights.delete(id);
    if (upstreams !== undefined) this.upstreams = upstreams;
    if (cluster !== undefined) this.cluster = cluster;
    if (status !== undefined) this.status = status;
    return pulls;
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
