import assert from 'node:assert/strict';
import type { Interval } from '../../core/byte-range.ts';
import type { Digest } from '../../core/digest.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import type { ContentStore } from '../../store/content-store.ts';
import { InlineHasher } from '../../store/hashing/inline-hasher.ts';
import { Channels, type FlightEvent, type RetryEvent } from '../../telemetry/channels.ts';
import { FlightTable, type FlightTableOptions } from '../flight-table.ts';
import type { RetryPolicy } from '../source.ts';
import { FollowingReader } from './following-reader.ts';
import { MortalStore, untilQuiet } from './mortal-store.ts';
import type { ScriptedSource } from './scripted-source.ts';

export const testOptions: FlightTableOptions = {
  holdBackBytes: 100,
  smallBlobBytes: 500,
  hashDirectlyBytes: 1000,
  hashStepBytes: 300,
  maxRanges: 3,
  maxSplit: 1,
  split: { fromBytes: 3000, leadBytes: 1500, leastRangeBytes: 200, mostRangeBytes: 1500 },
  stallTimeoutMs: 10_000,
  minProgressBytes: 0,
  askTimeoutMs: 20_000,
  deadlineMs: 3_600_000,
  headerPatienceMs: 3_600_000,
  outageTimeoutMs: 30_000,
  maxBadBodies: 2,
  abandon: 'finish',
  maxFlights: 10,
  plan: { patienceBytes: 1000, leastRangeBytes: 200, readThroughBytes: 0 },
};

/** Retries for ever, after a fixed pause: tests decide when something gives up by what the sources say. */
const patient = ({ retryable, retryAfterMs }: { retryable: boolean; retryAfterMs: number | undefined }) =>
  retryable ? (retryAfterMs ?? 200) : undefined;

/** One process with flights for one blob: a table, a clock that a test moves, and the store that outlives it. */
export class FlightWorld {
  readonly clock = new VirtualClock();
  readonly channels = new Channels();
  readonly store: MortalStore;
  readonly table: FlightTable;
  readonly events: FlightEvent[] = [];
  readonly retries: RetryEvent[] = [];
  readonly readers: FollowingReader[] = [];
  readonly digest: Digest;

  constructor(
    store: ContentStore,
    digest: Digest,
    options: Partial<FlightTableOptions> = {},
    retry: RetryPolicy = patient,
  ) {
    this.store = new MortalStore(store);
    this.digest = digest;
    this.channels.flight.subscribe((event) => this.events.push(event));
    this.channels.retry.subscribe((event) => this.retries.push(event));
    const hasher = new InlineHasher();
    const deps = { store: this.store, hasher, clock: this.clock, channels: this.channels, retry };
    this.table = new FlightTable(deps, { ...testOptions, ...options });
  }

  async join(
    source: ScriptedSource | readonly ScriptedSource[],
    sizeBytes: number | undefined,
    range?: Interval,
  ): Promise<FollowingReader> {
    const request = { digest: this.digest, sizeBytes, sources: [source].flat(), range };
    const { reader } = await this.table.join(request, new AbortController().signal);
    const follower = new FollowingReader(reader, range !== undefined);
    this.readers.push(follower);
    return follower;
  }

  quiet(): Promise<void> {
    return untilQuiet(this.store);
  }

  /** What P3 asks for: nobody sleeps on what is there. Call when it is quiet. */
  assertNobodyOversleeps(): void {
    for (const follower of this.readers) {
      if (!follower.isAsleep || !follower.isFollowing) continue;
      let to: number;
      try {
        to = follower.reader.readableTo(follower.position);
      } catch (error) {
        assert.fail(`a reader sleeps although its flight is over: ${error}`);
      }
      assert.equal(to, follower.position, 'a reader sleeps on bytes that are there');
    }
  }

  /** Nothing is left of any flight. Call when it is quiet and all readers are closed. */
  assertNothingLeft(): void {
    assert.equal(this.table.size, 0, 'flights left');
    assert.equal(this.clock.pending, 0, 'timers left');
    assert.equal(this.store.openPartials, 0, 'partial files left open');
    assert.equal(this.store.openBlobs, 0, 'content left open');
    assert.equal(this.store.holds, 0, 'holds left');
  }
}
