import assert from 'node:assert/strict';
import { readSync } from 'node:fs';
import { ChangeCount } from '../../core/change-count.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { parseReference } from '../../core/reference.ts';
import { parseRepositoryName } from '../../core/repository-name.ts';
import { type Scope, sharedIdentity } from '../../core/scope.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { FlightTable } from '../../flights/flight-table.ts';
import { PassingTable, type PassingTableOptions } from '../../flights/passing/passing-table.ts';
import { testOptions as passingOptions } from '../../flights/passing/testing/passing-world.ts';
import { testOptions } from '../../flights/testing/flight-world.ts';
import { MortalStore, untilQuiet } from '../../flights/testing/mortal-store.ts';
import { retryDefaults, retryPolicy } from '../../routing/retry-policy.ts';
import { InlineHasher } from '../../store/hashing/inline-hasher.ts';
import { MemoryCatalog } from '../../store/memory/memory-catalog.ts';
import { MemoryContentStore } from '../../store/memory/memory-content-store.ts';
import { Channels } from '../../telemetry/channels.ts';
import type { BlobAnswer, BlobBody, ManifestAnswer } from '../depot.ts';
import { Fetches } from '../fetches.ts';
import { PullBoard } from '../pull-board.ts';
import { PullDepot } from '../pull-depot.ts';
import { Upstreams } from '../upstreams.ts';
import { TestRegistry } from './test-registry.ts';

export const tagTtlMs = 60_000;
export const headerTimeoutMs = 25_000;
export const staleAfterMs = 3000;
/** Larger blobs are not kept. */
export const maxKeptBytes = 100_000;

const retry = retryPolicy({ ...retryDefaults, maxAttempts: 3 }, () => 0);

export interface ReadOptions {
  readonly mostBytes?: number;
  /** Left out: all of the body. */
  readonly from?: number;
  readonly onBlock?: (offset: number) => Promise<void> | void;
}

/** A depot with two upstreams, a clock that a test moves, and everything else in memory. */
export class PullWorld implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly channels = new Channels();
  readonly hub = new TestRegistry();
  readonly other = new TestRegistry();
  readonly changes = new ChangeCount();
  readonly memory = new MemoryContentStore({ changes: this.changes });
  readonly store = new MortalStore(this.memory);
  readonly catalog = new MemoryCatalog({ changes: this.changes });
  readonly flights: FlightTable;
  readonly passing: PassingTable;
  readonly board: PullBoard;
  readonly depot: PullDepot;
  readonly coalesced: string[] = [];
  readonly never: AbortSignal = new AbortController().signal;

  constructor(options: Partial<PassingTableOptions> = {}) {
    const { clock, channels, store, catalog } = this;
    channels.coalesced.subscribe(({ kind }) => this.coalesced.push(kind));
    const upstreams = new Upstreams(
      new Map([
        ['docker.io', { registry: this.hub, tagTtlMs }],
        ['ghcr.io', { registry: this.other, tagTtlMs }],
      ]),
    );
    this.flights = new FlightTable({ store, hasher: new InlineHasher(), clock, channels, retry }, testOptions);
    this.passing = new PassingTable(
      { clock, channels, retry },
      { ...passingOptions, totalBytes: 160_000, windowBytes: 16_000, ...options },
    );
    const { changes } = this;
    this.board = new PullBoard({ clock, channels, changes, flights: new Fetches(this.flights, this.passing), store });
    const { flights, passing, board } = this;
    const deps = { changes, clock, channels, store, catalog, upstreams, flights, passing, board, retry };
    this.depot = new PullDepot(deps, { headerTimeoutMs, staleAfterMs, maxKeptBytes });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.passing[Symbol.asyncDispose]();
    await this.flights[Symbol.asyncDispose]();
    await this.memory[Symbol.asyncDispose]();
  }

  /** Content leaves the store. */
  async lose(digest: Digest): Promise<void> {
    const stored = (await this.memory.open(digest)) ?? assert.fail(`${digest} is not here`);
    await this.memory.condemn(digest, stored.fd);
    stored.close();
  }

  /** A fill that ended early has left its first bytes. */
  async leaveHalf(digest: Digest, bytes: Uint8Array): Promise<void> {
    const partial = await this.memory.openPartial(digest);
    await partial.write(bytes, 0);
    await partial.record([{ start: 0, end: bytes.length }], undefined);
    await partial.close();
  }

  scope(repository = 'library/app', registry = 'docker.io'): Scope {
    const name = parseRepositoryName(repository);
    assert.ok(name);
    return { registry, repository: name, identity: sharedIdentity };
  }

  manifest(
    reference: string,
    options: {
      method?: 'GET' | 'HEAD';
      scope?: Scope;
      accept?: string;
      client?: string;
      isFresh?: boolean;
      signal?: AbortSignal;
    } = {},
  ): Promise<ManifestAnswer> {
    const { method = 'GET', scope = this.scope(), accept, client = 'node-1', signal = this.never } = options;
    const { isFresh } = options;
    const parsed = parseReference(reference);
    assert.ok(parsed);
    return this.depot.manifest({ scope, reference: parsed, method, accept, client, isFresh }, signal);
  }

  blob(
    digest: Digest,
    options: {
      method?: 'GET' | 'HEAD';
      scope?: Scope;
      range?: string;
      client?: string;
      gateway?: number;
      leased?: number;
      signal?: AbortSignal;
    } = {},
  ): Promise<BlobAnswer> {
    const { method = 'GET', scope = this.scope(), range, client = 'node-1', signal = this.never } = options;
    const { gateway, leased } = options;
    return this.depot.blob({ scope, digest, method, range, client, gateway, leased }, signal);
  }

  /** The bytes of an answer with a body, which is closed then. Reads blocks of at most `mostBytes`, and tells of each. */
  async bytesOf(
    answer: BlobAnswer,
    { mostBytes = Number.POSITIVE_INFINITY, from, onBlock }: ReadOptions = {},
  ): Promise<Buffer> {
    assert.equal(answer.kind, 'body');
    const { body } = answer;
    const blocks: Buffer[] = [];
    try {
      for (let offset = from ?? body.start; ; ) {
        if ((await this.soon(body.whenReadable(offset, this.never))) === offset) return Buffer.concat(blocks);
        // Meanwhile it may have gone out of a window again.
        const to = body.readableTo(offset);
        if (to === offset) continue;
        const block = readOf(body, offset, Math.min(to, offset + mostBytes));
        if (block.length === 0) {
          const error = new AppError('STORAGE_FAILED', 'shorter than it says');
          await this.soon(body.unreadable(offset, error, this.never));
        }
        blocks.push(block);
        offset += block.length;
        await onBlock?.(offset);
      }
    } finally {
      body.close();
    }
  }

  quiet(): Promise<void> {
    return untilQuiet(this.store);
  }

  /** What `promise` settles with, time being moved on to whatever is due next, for a minute at most. */
  async soon<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let isSettled = false;
    const settled = promise.finally(() => {
      isSettled = true;
    });
    settled.catch(() => {});
    let leftMs = withinMs;
    for (let idleTurns = 0; !isSettled && idleTurns < 20; ) {
      await this.quiet();
      const stepMs = this.clock.nextDueInMs ?? Number.POSITIVE_INFINITY;
      if (isSettled || stepMs > leftMs) {
        idleTurns++;
        continue;
      }
      leftMs -= stepMs;
      this.clock.advance(stepMs);
    }
    assert.ok(isSettled, `nothing came of it within ${withinMs} ms`);
    return settled;
  }

  /** Moves time, and waits until all that follows from it has happened. */
  async later(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.quiet();
  }

  /** Nothing is left of any request or flight. */
  assertNothingLeft(): void {
    assert.equal(this.flights.size, 0, 'flights left');
    assert.equal(this.passing.size, 0, 'blobs that pass by left');
    assert.equal(this.passing.memoryBytes, 0, 'memory of passes left');
    assert.equal(this.clock.pending, 0, 'timers left');
    assert.equal(this.store.openPartials, 0, 'partial files left open');
    assert.equal(this.store.openBlobs, 0, 'content left open');
    assert.equal(this.store.holds, 0, 'holds left');
  }
}

/** What is there, as a gateway reads it: nothing where a file is shorter than it says. */
function readOf({ storage }: BlobBody, offset: number, to: number): Buffer {
  const block = Buffer.alloc(to - offset);
  if (storage.kind === 'window') return block.subarray(0, storage.window.read(offset, block));
  if (storage.kind === 'memory') return Buffer.from(storage.bytes.subarray(offset, to));
  return block.subarray(0, readSync(storage.fd, block, 0, block.length, offset));
}
