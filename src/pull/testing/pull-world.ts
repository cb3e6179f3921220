import assert from 'node:assert/strict';
import { readSync } from 'node:fs';
import type { Digest } from '../../core/digest.ts';
import { parseReference } from '../../core/reference.ts';
import { parseRepositoryName } from '../../core/repository-name.ts';
import { type Scope, sharedIdentity } from '../../core/scope.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { FlightTable } from '../../flights/flight-table.ts';
import { PassingTable } from '../../flights/passing/passing-table.ts';
import { testOptions as passingOptions } from '../../flights/passing/testing/passing-world.ts';
import { testOptions } from '../../flights/testing/flight-world.ts';
import { MortalStore, untilQuiet } from '../../flights/testing/mortal-store.ts';
import { retryDefaults, retryPolicy } from '../../routing/retry-policy.ts';
import { MemoryCatalog } from '../../store/memory/memory-catalog.ts';
import { MemoryContentStore } from '../../store/memory/memory-content-store.ts';
import { Channels } from '../../telemetry/channels.ts';
import type { BlobAnswer, ManifestAnswer } from '../depot.ts';
import { Fetches } from '../fetches.ts';
import { PullBoard } from '../pull-board.ts';
import { PullDepot } from '../pull-depot.ts';
import { Upstreams } from '../upstreams.ts';
import { TestRegistry } from './test-registry.ts';

export const tagTtlMs = 60_000;
export const headerTimeoutMs = 25_000;
export const staleAfterMs = 3000;

const retry = retryPolicy({ ...retryDefaults, maxAttempts: 3 }, () => 0);

/** A depot with two upstreams, a clock that a test moves, and everything else in memory. */
export class PullWorld implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly channels = new Channels();
  readonly hub = new TestRegistry();
  readonly other = new TestRegistry();
  readonly memory = new MemoryContentStore();
  readonly store = new MortalStore(this.memory);
  readonly catalog = new MemoryCatalog();
  readonly flights: FlightTable;
  readonly passing: PassingTable;
  readonly board: PullBoard;
  readonly depot: PullDepot;
  readonly coalesced: string[] = [];
  readonly never: AbortSignal = new AbortController().signal;

  constructor() {
    const { clock, channels, store, catalog } = this;
    channels.coalesced.subscribe(({ kind }) => this.coalesced.push(kind));
    const upstreams = new Upstreams(
      new Map([
        ['docker.io', { registry: this.hub, tagTtlMs }],
        ['ghcr.io', { registry: this.other, tagTtlMs }],
      ]),
    );
    this.flights = new FlightTable({ store, clock, channels, retry }, testOptions);
    this.passing = new PassingTable({ clock, channels, retry }, passingOptions);
    this.board = new PullBoard({ clock, flights: new Fetches(this.flights, this.passing), store });
    const { flights, passing, board } = this;
    const deps = { clock, channels, store, catalog, upstreams, flights, passing, board, retry };
    this.depot = new PullDepot(deps, { headerTimeoutMs, staleAfterMs, smallBlobBytes: testOptions.smallBlobBytes });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.passing[Symbol.asyncDispose]();
    await this.flights[Symbol.asyncDispose]();
    await this.memory[Symbol.asyncDispose]();
  }

  scope(repository = 'library/app', registry = 'docker.io'): Scope {
    const name = parseRepositoryName(repository);
    assert.ok(name);
    return { registry, repository: name, identity: sharedIdentity };
  }

  manifest(
    reference: string,
    options: { method?: 'GET' | 'HEAD'; scope?: Scope; accept?: string; client?: string; signal?: AbortSignal } = {},
  ): Promise<ManifestAnswer> {
    const { method = 'GET', scope = this.scope(), accept, client = 'node-1', signal = this.never } = options;
    const parsed = parseReference(reference);
    assert.ok(parsed);
    return this.depot.manifest({ scope, reference: parsed, method, accept, client }, signal);
  }

  blob(
    digest: Digest,
    options: { method?: 'GET' | 'HEAD'; scope?: Scope; range?: string; client?: string; signal?: AbortSignal } = {},
  ): Promise<BlobAnswer> {
    const { method = 'GET', scope = this.scope(), range, client = 'node-1', signal = this.never } = options;
    return this.depot.blob({ scope, digest, method, range, client }, signal);
  }

  /** The bytes of an answer with a body, which is closed then. */
  async bytesOf(answer: BlobAnswer): Promise<Buffer> {
    assert.equal(answer.kind, 'body');
    const { body } = answer;
    const blocks: Buffer[] = [];
    try {
      for (let offset = body.start; ; ) {
        const to = await this.soon(body.whenReadable(offset, this.never));
        if (to === offset) return Buffer.concat(blocks);
        const block = Buffer.alloc(to - offset);
        if (body.storage.kind === 'window') body.storage.window.read(offset, block);
        else if (body.storage.kind === 'memory') block.set(body.storage.bytes.subarray(offset, to));
        else readSync(body.storage.fd, block, 0, block.length, offset);
        blocks.push(block);
        offset = to;
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
