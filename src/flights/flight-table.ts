import type { Interval } from '../core/byte-range.ts';
import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { abandonable } from '../core/shared-calls.ts';
import { Flight, type FlightDeps, type FlightOptions } from './flight.ts';
import type { FlightReader } from './flight-reader.ts';
import type { FlightSnapshot } from './flight-snapshot.ts';
import type { Source } from './source.ts';

export interface FlightTableDeps extends FlightDeps {
  /** Told of each beginning and joining of a flight, which it does. */
  readonly spans?: { entering<T>(digest: Digest, isNew: boolean, enter: () => T): T } | undefined;
}

export interface FlightTableOptions extends FlightOptions {
  /** Flights at once, at most. */
  readonly maxFlights: number;
}

export interface JoinRequest {
  readonly digest: Digest;
  /** What a manifest says of its size; the source's word counts in the end. */
  readonly sizeBytes: number | undefined;
  /** Where the content can be had on this reader's behalf. The caller has checked that it may read it (P9). */
  readonly sources: readonly Source[];
  /** The part wanted, where the size is known; otherwise the reader's `setRange`. */
  readonly range: Interval | undefined;
}

export interface Joined {
  /** Must be closed by the caller in every case. */
  readonly reader: FlightReader;
  /** The flight was started for this reader. */
  readonly led: boolean;
  /** Resolves if the flight ends without the content, also when this reader has left by then. */
  readonly failed: Promise<AppError>;
}

const endedShown = 100;

/**
 * The flights of this node, by digest.
 *
 * Invariants: at most one flight per digest touches the storage; joining is synchronous with finding, so no flight can end
 * between the two; a flight stays in the table until it is settled, and whoever comes while it is over but not settled
 * waits and then starts the next one (which finds the content in the store if the last one brought it).
 */
export class FlightTable implements AsyncDisposable {
  readonly #deps: FlightTableDeps;
  readonly #options: FlightTableOptions;
  readonly #flights = new Map<Digest, Flight>();
  readonly #ended: FlightSnapshot[] = [];
  #closed = false;

  constructor(deps: FlightTableDeps, options: FlightTableOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /**
   * Joins the flight for the digest, or starts it (`led`). Rejects with OVERLOADED where there are too many flights, and
   * with SHUTTING_DOWN.
   */
  async join(request: JoinRequest, signal: AbortSignal): Promise<Joined> {
    for (;;) {
      if (this.#closed) throw new AppError('SHUTTING_DOWN', 'onepull is shutting down', { retryAfterMs: 1000 });
      const known = this.#flights.get(request.digest);
      if (known?.over === true) {
        await abandonable(known.settled, signal);
        continue;
      }
      if (known !== undefined) this.#deps.channels.coalesced.publish({ kind: 'blob' });
      const enter = (): Joined => {
        const flight = known ?? this.#start(request);
        const reader = flight.join(request.sources, request.range);
        return { reader, led: known === undefined, failed: flight.failed };
      };
      const { spans } = this.#deps;
      return spans === undefined ? enter() : spans.entering(request.digest, known === undefined, enter);
    }
  }

  /** Joins the flight for the digest, if there is one, without bringing a source. */
  follow(digest: Digest, range: Interval | undefined): FlightReader | undefined {
    const flight = this.#flights.get(digest);
    return flight?.over === false ? flight.join([], range) : undefined;
  }

  /** Whether there is a flight that can be joined now: one that is over only has not been put away yet. */
  has(digest: Digest): boolean {
    return this.#flights.get(digest)?.over === false;
  }

  get size(): number {
    return this.#flights.size;
  }

  /** The flights in progress. */
  snapshots(): FlightSnapshot[] {
    return [...this.#flights.values()].map((flight) => flight.snapshot());
  }

  snapshot(digest: Digest): FlightSnapshot | undefined {
    return this.#flights.get(digest)?.snapshot();
  }

  /** Flights that ended lately, newest first. */
  ended(): readonly FlightSnapshot[] {
    return this.#ended;
  }

  /** Stops every fill where it can be resumed from, and waits until nothing touches the storage. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const reason = new AppError('SHUTTING_DOWN', 'onepull is shutting down', { retryAfterMs: 1000 });
    for (const flight of this.#flights.values()) flight.park(reason);
    await Promise.all([...this.#flights.values()].map((flight) => flight.settled));
  }

  #start(request: JoinRequest): Flight {
    if (this.#flights.size >= this.#options.maxFlights) {
      this.#deps.channels.refused.publish({ bound: 'flights' });
      throw new AppError('OVERLOADED', `${this.#flights.size} blobs are being pulled already`, { retryAfterMs: 1000 });
    }
    const flight = new Flight(this.#deps, this.#options, request.digest, request.sizeBytes);
    this.#flights.set(request.digest, flight);
    void flight.settled.then(() => {
      this.#flights.delete(request.digest);
      // Whoever reads of it still has all of it, or has been told: nobody waits for it any more.
      this.#ended.unshift({ ...flight.snapshot(), waiters: 0 });
      this.#ended.length = Math.min(this.#ended.length, endedShown);
    });
    return flight;
  }
}
