import { type Members, patchBetween } from '../core/merge-patch.ts';
import type { FlightSnapshot } from '../flights/flight-snapshot.ts';
import type { ClusterSnapshot } from '../pull/cluster-snapshot.ts';
import type { PreheatSnapshot } from '../pull/preheat/preheat-snapshot.ts';
import type { PullSnapshot } from '../pull/pull-board.ts';
import type { EffectSnapshot } from '../telemetry/effect-snapshot.ts';
import type { UpstreamSnapshot } from '../upstream/upstream-snapshot.ts';
import { type StateDocument, stateDocument } from './state-document.ts';
import type { Status } from './status.ts';

/** Functions give plain data. An object that comes again is taken to be unchanged, and is not looked into. */
export interface LiveSources {
  pulls(): Promise<readonly PullSnapshot[]>;
  flights(): readonly FlightSnapshot[];
  preheats(): readonly PreheatSnapshot[];
  upstreams(): readonly UpstreamSnapshot[];
  /** Undefined: this node is alone. */
  cluster(): ClusterSnapshot | undefined;
  status(pulls: readonly PullSnapshot[]): Promise<Status>;
  effect(): EffectSnapshot;
}

/**
 * All that viewers are shown, as JSON, and what has changed of it, as a JSON merge patch (RFC 7396).
 *
 * Invariants: what stands here is of one `refresh`, all of it: while one is under way the former stands. The state that stood
 * before a refresh and its change make up the one after it. A text is made when it is asked for, once.
 */
export class LiveState {
  readonly #sources: LiveSources;
  #document: StateDocument | undefined;
  #whole: string | undefined;

  constructor(sources: LiveSources) {
    this.#sources = sources;
  }

  /** Looks anew; returns what has changed, as JSON, or undefined: nothing, or nothing stood here. Calls may not overlap. */
  async refresh(): Promise<string | undefined> {
    const sources = this.#sources;
    const pulls = await sources.pulls();
    const status = await sources.status(pulls);
    const before = this.#document;
    const after = stateDocument({
      pulls,
      status,
      flights: sources.flights(),
      preheats: sources.preheats(),
      upstreams: sources.upstreams(),
      cluster: sources.cluster(),
      effect: sources.effect(),
    });
    this.#document = after;
    const change = before === undefined ? undefined : patchBetween(membersOf(before), membersOf(after));
    if (before === undefined || change !== undefined) this.#whole = undefined;
    return change === undefined ? undefined : JSON.stringify(change);
  }

  /** All of it, as of the last refresh, as JSON. */
  whole(): string {
    this.#whole ??= JSON.stringify(this.#document ?? {});
    return this.#whole;
  }

  /** Forgets everything: nobody watches. */
  clear(): void {
    this.#document = undefined;
    this.#whole = undefined;
  }
}

/** An interface has no index signature. */
function membersOf(document: StateDocument): Members {
  return { ...document };
}
