import assert from 'node:assert/strict';
import type { Interval } from '../../../core/byte-range.ts';
import { type Digest, DigestVerifier } from '../../../core/digest.ts';
import { type AppError, asAppError } from '../../../core/errors.ts';
import { VirtualClock } from '../../../core/testing/virtual-clock.ts';
import { Channels, type FlightEvent, type PassThroughEvent } from '../../../telemetry/channels.ts';
import type { RetryPolicy } from '../../source.ts';
import type { ScriptedSource } from '../../testing/scripted-source.ts';
import type { PassReader } from '../pass-reader.ts';
import { PassingTable, type PassingTableOptions } from '../passing-table.ts';

/** Windows of 6400 bytes in blocks of 100: 1600 are read ahead of several readers, 3200 ahead of one. */
export const testOptions: PassingTableOptions = {
  totalBytes: 64_000,
  windowBytes: 6400,
  leastWindowBytes: 1600,
  holdBackBytes: 100,
  maxBadBodies: 2,
  stallTimeoutMs: 10_000,
  minProgressBytes: 0,
  askTimeoutMs: 20_000,
  headerPatienceMs: 20_000,
  outageTimeoutMs: 30_000,
  deadlineMs: 3_600_000,
  idleConnectionMs: 5000,
};

const patient: RetryPolicy = ({ retryable, attempt, retryAfterMs }) =>
  retryable && attempt < 5 ? (retryAfterMs ?? 200) : undefined;

/** Everything of this process that passes one blob, with a clock that a test moves. */
export class PassingWorld {
  readonly clock = new VirtualClock();
  readonly channels = new Channels();
  readonly table: PassingTable;
  readonly events: FlightEvent[] = [];
  readonly passed: PassThroughEvent[] = [];
  readonly refused: string[] = [];
  readonly clients: PassedClient[] = [];
  readonly digest: Digest;

  constructor(digest: Digest, options: Partial<PassingTableOptions> = {}, retry: RetryPolicy = patient) {
    this.digest = digest;
    this.channels.flight.subscribe((event) => this.events.push(event));
    this.channels.passThrough.subscribe((event) => this.passed.push(event));
    this.channels.refused.subscribe(({ bound }) => this.refused.push(bound));
    const { clock, channels } = this;
    this.table = new PassingTable({ clock, channels, retry }, { ...testOptions, ...options });
  }

  join(
    sources: ScriptedSource | readonly ScriptedSource[],
    options: { sizeBytes?: number | undefined; range?: Interval; handed?: Uint8Array; digest?: Digest } = {},
  ): PassedClient {
    const list = 'name' in sources ? [sources] : sources;
    const { range, handed, digest = this.digest } = options;
    const sizeBytes = 'sizeBytes' in options ? options.sizeBytes : list[0]?.content.length;
    const start = range?.start ?? 0;
    const hash = new DigestVerifier(digest);
    if (handed !== undefined) hash.update(handed);
    const { reader } = this.table.join({
      digest,
      sizeBytes,
      sources: list,
      cause: 'too-large',
      range,
      handed: handed && { toOffset: start + handed.length, hash },
    });
    const client = new PassedClient(reader, start + (handed?.length ?? 0));
    this.clients.push(client);
    return client;
  }

  /** All that follows from what was done last has happened. */
  async quiet(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  }

  /** Has sources deliver, and clients take, until nothing moves any more. `chunkBytes` at a time. */
  async flow(sources: ScriptedSource | readonly ScriptedSource[], chunkBytes = 500): Promise<void> {
    const list = 'name' in sources ? [sources] : sources;
    for (let idle = 0; idle < 3; ) {
      await this.quiet();
      let moved = false;
      for (const source of list) {
        for (const attempt of source.asking) attempt.answer();
        for (const attempt of source.awaited) {
          attempt.deliver(chunkBytes);
          moved = true;
        }
      }
      for (const client of this.clients) moved = client.read(Number.POSITIVE_INFINITY) || moved;
      idle = moved ? 0 : idle + 1;
    }
  }

  /** Nobody sleeps on what is there. Call when it is quiet. */
  assertNobodyOversleeps(): void {
    for (const client of this.clients) {
      if (!client.isAsleep || !client.isFollowing) continue;
      let to: number;
      try {
        to = client.reader.readableTo(client.position);
      } catch (error) {
        assert.fail(`a reader sleeps although it has failed: ${error}`);
      }
      assert.equal(to, client.position, 'a reader sleeps on bytes that are there');
    }
  }

  assertNothingLeft(): void {
    assert.equal(this.table.size, 0, 'blobs left');
    assert.equal(this.table.memoryBytes, 0, 'memory left');
    assert.equal(this.clock.pending, 0, 'timers left');
  }
}

/** A client of a passed blob: it takes when it is told to, and remembers what it got. */
export class PassedClient {
  readonly reader: PassReader;
  readonly received: number[] = [];
  readonly signal = new AbortController();
  outcome: 'following' | 'complete' | 'left' | AppError = 'following';
  /** It takes by itself whatever comes while it sleeps. */
  isGreedy = true;
  isAsleep = false;
  readonly from: number;

  constructor(reader: PassReader, from: number) {
    this.reader = reader;
    this.from = from;
  }

  get position(): number {
    return this.from + this.received.length;
  }

  get isFollowing(): boolean {
    return this.outcome === 'following';
  }

  get bytes(): Buffer {
    return Buffer.from(this.received);
  }

  /** Takes up to `maxBytes` of what is there; sleeps if there is nothing. Returns whether it took some. */
  read(maxBytes: number): boolean {
    if (!this.isFollowing || this.isAsleep) return false;
    const before = this.position;
    try {
      if (this.position === this.reader.end && this.position > this.from) this.#finish('complete');
      else if (this.reader.readableTo(this.position) > this.position) this.#take(maxBytes);
      else this.#sleep(maxBytes);
    } catch (error) {
      this.#finish(asAppError(error));
    }
    return this.position > before || !this.isFollowing;
  }

  leave(): void {
    if (this.isFollowing) this.#finish('left');
  }

  #sleep(maxBytes: number): void {
    this.isAsleep = true;
    this.reader.whenReadable(this.position, this.signal.signal).then(
      (to) => {
        this.isAsleep = false;
        if (!this.isFollowing) return;
        if (to === this.position) this.#finish('complete');
        else if (this.isGreedy) this.read(maxBytes);
      },
      (error) => {
        this.isAsleep = false;
        if (this.isFollowing) this.#finish(asAppError(error));
      },
    );
  }

  #take(maxBytes: number): void {
    const there = this.reader.readableTo(this.position) - this.position;
    const into = new Uint8Array(Math.min(there, maxBytes));
    this.received.push(...into.subarray(0, this.reader.read(this.position, into)));
  }

  #finish(outcome: PassedClient['outcome']): void {
    this.outcome = outcome;
    this.reader.close();
  }
}
