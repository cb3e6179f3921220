import type { Digest } from '../core/digest.ts';
import type { FlightSnapshot } from '../flights/flight-snapshot.ts';
import type { FlightTable } from '../flights/flight-table.ts';
import type { PassingTable } from '../flights/passing/passing-table.ts';

/** Everything that is being fetched, or was lately, in one view (P12): what is kept, and what is only passed through. */
export class Fetches {
  readonly #flights: Pick<FlightTable, 'snapshots' | 'snapshot' | 'ended'>;
  readonly #passing: Pick<PassingTable, 'snapshots' | 'snapshot' | 'ended'>;

  constructor(flights: FlightTable, passing: PassingTable) {
    this.#flights = flights;
    this.#passing = passing;
  }

  /** Those in progress. */
  snapshots(): readonly FlightSnapshot[] {
    return [...this.#flights.snapshots(), ...this.#passing.snapshots()];
  }

  /** Where both are there, a fill has failed and its readers are passed the rest. */
  snapshot(digest: Digest): FlightSnapshot | undefined {
    return this.#passing.snapshot(digest) ?? this.#flights.snapshot(digest);
  }

  /** Those that ended lately, newest first. */
  ended(): readonly FlightSnapshot[] {
    const all = [...this.#passing.ended(), ...this.#flights.ended()];
    return all.sort((a, b) => b.startedAtMs + b.ageMs - (a.startedAtMs + a.ageMs));
  }

  /** Whether it was passed through lately, to its end: it is not here, and nothing is missing. */
  wasPassed(digest: Digest): boolean {
    return this.#passing.ended().some((passed) => passed.digest === digest && passed.state === 'done');
  }
}
