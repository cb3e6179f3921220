import type { Clock } from '../core/clock.ts';
import {
  type ConnectionGrowth,
  firstGrowth,
  type GrowthLimits,
  grow,
  growthWindowMs,
  setBack,
} from '../routing/connection-growth.ts';
import type { SplitPlan } from './range-planner.ts';

export interface SplitLimits {
  /** What is less than this is fetched by one request. */
  readonly fromBytes: number;
  /** What the first request asks for, while nobody knows whether more connections pay. */
  readonly leadBytes: number;
  /** The least and the most that a request is for; the most gives way to what keeps a fast connection busy. */
  readonly leastRangeBytes: number;
  readonly mostRangeBytes: number;
}

/** What it looks at: a feed. */
export interface SplitFeed {
  readonly asking: boolean;
  readonly averageBytesPerSecond: number;
}

/** The one connection has so much to do that its rate can be told from it, in seconds. */
const measuringSeconds = 1.2;
/** So has each one that is tried beside it: for all the windows that it gets, and little more in case it is slow. */
const probeSeconds = 1;
/** The wait for a range's first byte is lost to its connection: it must bring many times more than fits into that. */
const firstByteShares = 4;

/**
 * How the rest of one large body is shared by several connections. A range that was asked for is never cut short for this:
 * as many as pay take the next missing bytes in turn, in ranges that get smaller towards the end, so that all end together.
 *
 * Invariants: a window counts only if the same feeds delivered through all of it, as many as are wanted (`feedsChanged`);
 * once a connection more was refused there is none but as many as ran then, not even for a moment.
 */
export class Splitting {
  readonly #clock: Clock;
  readonly #growthLimits: GrowthLimits;
  readonly #limits: SplitLimits;
  #growth: ConnectionGrowth;
  #wasRefused = false;
  #windowSinceMs: number | undefined;
  #windowBytes = 0;
  /** Of one connection, as last seen; 0 before that. */
  #bytesPerSecond = 0;
  #firstByteMs = 0;

  constructor(clock: Clock, maxConnections: number, limits: SplitLimits) {
    this.#clock = clock;
    this.#growthLimits = { maxConnections };
    this.#limits = limits;
    this.#growth = firstGrowth(this.#growthLimits);
  }

  get connections(): number {
    return this.#growth.connections;
  }

  received(bytes: number): void {
    this.#windowBytes += bytes;
  }

  /** A feed was opened or has ended: what is measured is of other connections now. */
  feedsChanged(): void {
    this.#windowSinceMs = undefined;
  }

  /** A feed has its first byte. */
  began(firstByteMs: number): void {
    this.#firstByteMs = this.#firstByteMs === 0 ? firstByteMs : (this.#firstByteMs + firstByteMs) / 2;
    this.feedsChanged();
  }

  /** More than `running` connections were refused, or one more did not work. */
  refused(running: number): void {
    this.#wasRefused = true;
    this.#growth = setBack(this.#growth, running);
  }

  /** Looks whether a window is full. Returns whether another number of connections is wanted now. */
  measure(feeds: ReadonlySet<SplitFeed>, missingBytes: number, hasRoom: () => boolean): boolean {
    const { connections, isSettled } = this.#growth;
    if (isSettled || feeds.size !== connections) return false;
    for (const feed of feeds) if (feed.asking) return false;
    const nowMs = this.#clock.monotonic();
    const elapsedMs = nowMs - (this.#windowSinceMs ?? nowMs);
    if (this.#windowSinceMs !== undefined && elapsedMs < growthWindowMs) return false;
    if (elapsedMs > 0) {
      const bytesPerSecond = (this.#windowBytes * 1000) / elapsedMs;
      const window = { bytesPerSecond, missingBytes, hasRoom: hasRoom() };
      this.#growth = grow(this.#growth, window, this.#growthLimits);
    }
    this.#windowSinceMs = nowMs;
    this.#windowBytes = 0;
    return this.#growth.connections !== connections;
  }

  /** For the planner; `missingBytes`: what is still to come. */
  plan(feeds: ReadonlySet<SplitFeed>, missingBytes: number, hasRoom: () => boolean): SplitPlan {
    this.#bytesPerSecond = meanRate(feeds) || this.#bytesPerSecond;
    return {
      connections: this.#growth.connections,
      most: this.#growthLimits.maxConnections,
      overlaps: !this.#wasRefused && hasRoom(),
      rangeBytes: Math.ceil(this.#rangeBytes(missingBytes, hasRoom)),
      leastRangeBytes: this.#limits.leastRangeBytes,
    };
  }

  #rangeBytes(missingBytes: number, hasRoom: () => boolean): number {
    const { connections, isSettled } = this.#growth;
    const { leadBytes, leastRangeBytes, mostRangeBytes } = this.#limits;
    const rate = this.#bytesPerSecond;
    if (connections === 1) {
      // One connection that is not going to be helped does the rest in one request.
      if (isSettled || missingBytes < rate || !hasRoom()) return Number.POSITIVE_INFINITY;
      return Math.max(leadBytes, rate * measuringSeconds);
    }
    // As long as nobody knows what one is good for it gets what it takes to find out.
    if (!isSettled) return Math.max(leastRangeBytes, rate * probeSeconds);
    const least = Math.max(leastRangeBytes, (rate * this.#firstByteMs * firstByteShares) / 1000);
    return Math.max(least, Math.min(missingBytes / (2 * connections), mostRangeBytes));
  }
}

function meanRate(feeds: ReadonlySet<SplitFeed>): number {
  let [sum, count] = [0, 0];
  for (const { asking, averageBytesPerSecond } of feeds) {
    if (asking || averageBytesPerSecond === 0) continue;
    sum += averageBytesPerSecond;
    count++;
  }
  return count === 0 ? 0 : sum / count;
}
