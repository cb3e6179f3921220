import type { FlightSnapshot } from '../flights/flight-snapshot.ts';
import type { ClusterSnapshot } from '../pull/cluster-snapshot.ts';
import type { PullSnapshot } from '../pull/pull-board.ts';
import type { EffectPoint, EffectSnapshot } from '../telemetry/effect-snapshot.ts';
import type { UpstreamSnapshot } from '../upstream/upstream-snapshot.ts';
import type { Status } from './status.ts';

/** Functions give plain data. An object that comes again is taken to be unchanged, and is not looked into. */
export interface LiveSources {
  pulls(): Promise<readonly PullSnapshot[]>;
  flights(): readonly FlightSnapshot[];
  flightId(flight: FlightSnapshot): string;
  upstreams(): readonly UpstreamSnapshot[];
  /** Undefined: this node is alone. */
  cluster(): ClusterSnapshot | undefined;
  status(pulls: readonly PullSnapshot[]): Promise<Status>;
  effect(): EffectSnapshot;
}

/**
 * All that viewers are shown, as JSON, and what has changed of it.
 *
 * Invariants: what stands here is of one `refresh`, all of it: while one is under way the former stands. `whole` and the
 * changes that later refreshes return make up the state. An entry is made into text when it is new or another object, and its
 * text is kept for all viewers.
 */
export class LiveState {
  readonly #sources: LiveSources;
  readonly #pulls = new Entries<PullSnapshot>();
  readonly #flights = new Entries<FlightSnapshot>();
  /** By name: upstreams, cluster, status. */
  readonly #sections = new Map<string, string>();
  readonly #effect = new EffectText();

  constructor(sources: LiveSources) {
    this.#sources = sources;
  }

  /** Looks anew; returns what has changed, as JSON, or undefined: nothing. Calls may not overlap. */
  async refresh(): Promise<string | undefined> {
    const sources = this.#sources;
    const pulls = await sources.pulls();
    const status = await sources.status(pulls);
    const { flightId } = sources;
    const members: string[] = [];
    const changedPulls = this.#pulls.replace(pulls, ({ id }) => id);
    const changedFlights = this.#flights.replace(sources.flights(), flightId);
    if (changedPulls.texts.length > 0) members.push(`"pulls":[${changedPulls.texts.join(',')}]`);
    if (changedFlights.texts.length > 0) members.push(`"flights":[${changedFlights.texts.join(',')}]`);
    members.push(...goneText(changedPulls.gone, changedFlights.gone));
    members.push(...this.#section('upstreams', sources.upstreams()));
    members.push(...this.#section('cluster', sources.cluster() ?? null));
    members.push(...this.#section('status', status));
    members.push(...this.#effect.replace(sources.effect()));
    return members.length === 0 ? undefined : `{"isWhole":false,${members.join(',')}}`;
  }

  /** All of it, as of the last refresh, as JSON. */
  whole(): string {
    const lists = [`"pulls":[${this.#pulls.texts().join(',')}]`, `"flights":[${this.#flights.texts().join(',')}]`];
    return `{"isWhole":true,${[...lists, ...this.#sections.values(), this.#effect.whole()].join(',')}}`;
  }

  /** Forgets everything: nobody watches. */
  clear(): void {
    for (const part of [this.#pulls, this.#flights, this.#sections, this.#effect]) part.clear();
  }

  #section(name: string, value: unknown): string[] {
    const text = `"${name}":${JSON.stringify(value)}`;
    if (this.#sections.get(name) === text) return [];
    this.#sections.set(name, text);
    return [text];
  }
}

/** A list as text by text, with the name of each entry in it. */
class Entries<Entry extends object> {
  #known = new Map<string, { readonly entry: Entry; readonly text: string }>();

  /** Returns the texts of those that are new or have changed, and the names of those that are gone. */
  replace(entries: readonly Entry[], idOf: (entry: Entry) => string): { texts: string[]; gone: string[] } {
    const before = this.#known;
    const texts: string[] = [];
    this.#known = new Map();
    for (const entry of entries) {
      const id = idOf(entry);
      const known = before.get(id);
      const text = known?.entry === entry ? known.text : JSON.stringify({ id, ...entry });
      if (text !== known?.text) texts.push(text);
      this.#known.set(id, { entry, text });
    }
    return { texts, gone: [...before.keys()].filter((id) => !this.#known.has(id)) };
  }

  texts(): string[] {
    return [...this.#known.values()].map(({ text }) => text);
  }

  clear(): void {
    this.#known.clear();
  }
}

/** The effect, of which only new points are told. */
class EffectText {
  #head = '';
  /** Points that are told, in their order, each as it came and as text. */
  #points: { readonly point: EffectPoint; readonly text: string }[] = [];

  /** The member `effect` of a change, if there is one. */
  replace({ points, ...rest }: EffectSnapshot): string[] {
    const last = this.#points.at(-1)?.point;
    const known = last === undefined ? -1 : points.lastIndexOf(last);
    const added = points.slice(known + 1).map((point) => ({ point, text: JSON.stringify(point) }));
    const head = JSON.stringify(rest).slice(0, -1);
    const isSame = head === this.#head && added.length === 0;
    this.#head = head;
    this.#points = [...(known < 0 ? [] : this.#points), ...added].slice(-rest.maxPoints);
    return isSame ? [] : [this.#member(added)];
  }

  whole(): string {
    return this.#member(this.#points);
  }

  clear(): void {
    this.#head = '';
    this.#points = [];
  }

  #member(points: readonly { readonly text: string }[]): string {
    return `"effect":${this.#head},"points":[${points.map(({ text }) => text).join(',')}]}`;
  }
}

function goneText(pulls: readonly string[], flights: readonly string[]): string[] {
  if (pulls.length === 0 && flights.length === 0) return [];
  const gone = { ...(pulls.length > 0 && { pulls }), ...(flights.length > 0 && { flights }) };
  return [`"gone":${JSON.stringify(gone)}`];
}
