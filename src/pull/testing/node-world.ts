import assert from 'node:assert/strict';
import { readSync } from 'node:fs';
import { coordinatorDefaults, type Holder, type NodeFacts, type NodeId } from '../../cluster/coordinator.ts';
import { MemoryCoordinator } from '../../cluster/memory/memory-coordinator.ts';
import { MemoryEngine } from '../../cluster/memory/memory-engine.ts';
import { testNode } from '../../cluster/testing/coordinator-suite.ts';
import type { Clock } from '../../core/clock.ts';
import { type Digest, digestOf } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { abandonable } from '../../core/shared-calls.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import type { FlightReader } from '../../flights/flight-reader.ts';
import { FlightTable, type FlightTableOptions } from '../../flights/flight-table.ts';
import type { Source, SourceBody, SourceRequest } from '../../flights/source.ts';
import { testOptions } from '../../flights/testing/flight-world.ts';
import { FollowingReader } from '../../flights/testing/following-reader.ts';
import { MortalStore, untilQuiet } from '../../flights/testing/mortal-store.ts';
import { ScriptedSource } from '../../flights/testing/scripted-source.ts';
import { InlineHasher } from '../../store/hashing/inline-hasher.ts';
import { MemoryContentStore } from '../../store/memory/memory-content-store.ts';
import { Channels } from '../../telemetry/channels.ts';
import { BlobShare, blobShareDefaults } from '../blob-share.ts';

const peerChunkBytes = 700;
const connectTimeoutMs = 1000;

/** One of several nodes in a test's process. */
export class TestNode {
  readonly facts: NodeFacts;
  readonly coordinator: MemoryCoordinator;
  readonly store: MortalStore;
  readonly table: FlightTable;
  /** Its way to upstream. */
  readonly upstream: ScriptedSource;
  readonly shares: BlobShare[] = [];
  readonly readers: FollowingReader[] = [];
  /** Aborts with it: peers that read from it are cut. */
  readonly dead = new AbortController();
  /** Nodes that cannot be reached from here. */
  readonly unreachable = new Set<NodeId>();
  /** Whether it can get at upstream. */
  hasUpstream = true;
  /** Bodies that it sends to peers, and the most that there were at once. */
  children = 0;
  mostChildren = 0;
  sentBytes = 0;
  /** The other nodes hear of it. */
  isHeard = true;
  /** No beat has told others of it yet. */
  isNew = false;
  /** What it sends is wrong: its bytes, or what it says of the size. */
  isLying = false;
  isLyingOfSize = false;
  /** Upstream does not let it have the blob. */
  isRefused = false;
  /** Until it goes on: peers get nothing of it, and the engine hears nothing. */
  #frozen: PromiseWithResolvers<void> | undefined;
  #frozenAtMs = 0;
  readonly #world: NodeWorld;
  readonly #inner = new MemoryContentStore();
  #dismissed = new AbortController();

  constructor(world: NodeWorld, facts: NodeFacts, options: Partial<FlightTableOptions> = {}) {
    this.#world = world;
    this.facts = facts;
    this.coordinator = new MemoryCoordinator(world.engine, facts);
    this.store = new MortalStore(this.#inner);
    this.upstream = new ScriptedSource('upstream', world.content, world.sent);
    const { clock } = world;
    const retry = ({ retryAfterMs }: { retryAfterMs: number | undefined }) => retryAfterMs ?? 200;
    const share = (digest: Digest) => {
      const { coordinator } = this;
      const deps = {
        clock,
        coordinator,
        peer: (holder: Holder) => this.#peer(holder),
        isThere: (node: NodeId) => (world.node(node).isNew || world.hearsOf(this, node) ? undefined : false),
        members: () => world.heardOf(this),
        hear: async () => world.tellOfNew(),
        dismiss: () => {
          this.#dismissed.abort(new AppError('UPSTREAM_INTERRUPTED', 'sent away'));
          this.#dismissed = new AbortController();
        },
      };
      const made = new BlobShare(deps, blobShareDefaults, digest);
      this.shares.push(made);
      return made;
    };
    const deps = { store: this.store, hasher: new InlineHasher(), clock, channels: new Channels(), retry };
    this.table = new FlightTable({ ...deps, sharing: { share } }, { ...testOptions, holdBackBytes: 50, ...options });
  }

  async pull(): Promise<FollowingReader> {
    const { digest, content } = this.#world;
    const request = { digest, sizeBytes: content.length, sources: [this.upstream], range: undefined };
    const { reader } = await this.table.join(request, new AbortController().signal);
    const follower = new FollowingReader(reader, false);
    this.readers.push(follower);
    return follower;
  }

  get isDead(): boolean {
    return this.dead.signal.aborted;
  }

  /** As kill -9 does: nobody is told anything by it. */
  async kill(): Promise<void> {
    this.coordinator.isCut = true;
    this.dead.abort(new AppError('UPSTREAM_INTERRUPTED', 'the node died'));
    for (const reader of this.readers) reader.leave();
    await this.store.kill();
    await this.table[Symbol.asyncDispose]();
  }

  /** As SIGTERM does: fills are left for a later start, others are told, and nobody listens any more. */
  async stop(): Promise<void> {
    await this.table[Symbol.asyncDispose]();
    this.dead.abort(new AppError('UPSTREAM_INTERRUPTED', 'the node stopped'));
    await this.table[Symbol.asyncDispose]();
  }

  freeze(): void {
    this.#frozen ??= Promise.withResolvers();
    this.#frozenAtMs = this.#world.clock.monotonic();
    this.coordinator.isCut = true;
  }

  thaw(): void {
    if (this.#frozen === undefined) return;
    this.#frozen.resolve();
    this.#frozen = undefined;
    this.coordinator.isCut = false;
  }

  /** Whether others have not heard of it for so long that it counts as gone. */
  get isSilent(): boolean {
    const silentMs = this.#frozen === undefined ? 0 : this.#world.clock.monotonic() - this.#frozenAtMs;
    return this.isDead || silentMs > coordinatorDefaults.staleMs;
  }

  /** The content leaves its store, and nobody is told. */
  async evict(): Promise<void> {
    const stored = await this.store.open(this.#world.digest);
    if (stored === undefined) return;
    const { view } = stored;
    if (view.kind === 'file') await this.store.condemn(this.#world.digest, view.fd, 'evicted by the test');
    stored.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.thaw();
    if (!this.isDead) await this.table[Symbol.asyncDispose]();
    await this.#inner[Symbol.asyncDispose]();
  }

  #peer(holder: Holder): Source {
    const node = this.#world.node(holder.node);
    return {
      name: `peer ${holder.node}`,
      origin: 'peer',
      isPeer: true,
      standing: () => ({ restMs: 0, restReason: undefined, cost: -1, hasRoom: true }),
      open: async (request, signal) => {
        if (this.unreachable.has(holder.node)) return timesOut(this.#world.clock, signal);
        const body = await node.serve(request, signal);
        return { ...body, chunks: this.#arriving(holder.node, body.chunks, signal) };
      },
      discredit: () => {},
    };
  }

  /** What a peer sends, as long as the way to it is there. */
  async *#arriving(from: NodeId, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      if (this.unreachable.has(from)) await hangs(signal);
      yield chunk;
    }
  }

  /** What a peer is given: of what is here or on its way. */
  async serve({ start, end }: SourceRequest, signal: AbortSignal): Promise<SourceBody> {
    if (this.isDead) throw new AppError('UPSTREAM_UNREACHABLE', 'nobody listens');
    const { digest, content } = this.#world;
    const range = { start, end: end ?? content.length };
    if (this.#frozen !== undefined) return timesOut(this.#world.clock, signal);
    const body = { start, blobSizeBytes: content.length + (this.isLyingOfSize ? 1 : 0) };
    const stored = await this.store.open(digest);
    if (stored !== undefined) {
      const chunk = content.slice(range.start, range.end);
      stored.close();
      return {
        ...body,
        chunks: this.#send(async function* () {
          yield chunk;
        }, signal),
      };
    }
    const reader = this.table.follow(digest, range);
    if (reader === undefined) throw new AppError('BLOB_UNKNOWN', 'it is not here');
    const either = AbortSignal.any([signal, this.dead.signal, this.#dismissed.signal]);
    return { ...body, chunks: this.#send(() => chunksOf(reader, range, either), signal) };
  }

  async *#send(chunks: () => AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    this.mostChildren = Math.max(this.mostChildren, ++this.children);
    try {
      for await (const chunk of chunks()) {
        if (this.#frozen !== undefined) await abandonable(this.#frozen.promise, signal);
        if (this.isDead) throw this.dead.signal.reason;
        if (this.isLying) chunk[0] = (chunk[0] ?? 0) ^ 1;
        this.sentBytes += chunk.length;
        yield chunk;
        signal.throwIfAborted();
      }
    } finally {
      this.children--;
    }
  }
}

/** Several nodes that share an engine, in one process and one time. */
export class NodeWorld implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly engine = new MemoryEngine(this.clock, coordinatorDefaults);
  readonly content: Uint8Array;
  readonly digest: Digest;
  /** How often each byte was sent by upstream. */
  readonly sent: Uint16Array;
  readonly nodes: TestNode[] = [];

  constructor(content: Uint8Array) {
    this.content = content;
    this.digest = digestOf(content);
    this.sent = new Uint16Array(content.length);
  }

  add(name: string, zone?: string, options?: Partial<FlightTableOptions>): TestNode {
    const node = new TestNode(this, testNode(name, zone), options);
    this.nodes.push(node);
    return node;
  }

  node(id: NodeId): TestNode {
    const found = this.nodes.find(({ facts }) => facts.id === id);
    assert.ok(found, id);
    return found;
  }

  /** Whether nodes hear of each other: the dead are not heard of after a while, by time alone. */
  hearsOf(from: TestNode, node: NodeId): boolean {
    const { isSilent, isHeard } = this.node(node);
    return from.coordinator.isCut || (!isSilent && isHeard);
  }

  heardOf(from: TestNode): readonly NodeId[] | undefined {
    if (from.coordinator.isCut) return undefined;
    return this.nodes
      .filter(({ isSilent, isHeard, isNew }) => !isSilent && isHeard && !isNew)
      .map(({ facts }) => facts.id);
  }

  /** A beat tells of all who are there. */
  tellOfNew(): void {
    for (const node of this.nodes) if (!node.isDead) node.isNew = false;
  }

  get upstreamBytes(): number {
    return this.sent.reduce((sum, times) => sum + times, 0);
  }

  /** All who may read do, until nothing happens any more without time or upstream. */
  async settle(): Promise<void> {
    for (let quiet = 0, before = ''; quiet < 3; ) {
      for (const node of this.nodes) {
        for (const reader of node.readers) reader.read(1_000_000);
        await untilQuiet(node.store);
      }
      const after = this.shown();
      quiet = after === before ? quiet + 1 : 0;
      before = after;
    }
  }

  /** Upstream answers all that it was asked by those who reach it, and sends so much of each body. */
  async upstream(bytes: number): Promise<void> {
    for (const { upstream, hasUpstream, isRefused } of this.nodes) {
      for (const attempt of upstream.asking) {
        if (!hasUpstream) attempt.refuse(new AppError('UPSTREAM_UNREACHABLE', 'the way is cut by the test'));
        else if (isRefused) attempt.refuse(new AppError('UPSTREAM_DENIED', 'not for this node'));
        else attempt.answer();
      }
    }
    await this.settle();
    for (const { upstream, hasUpstream } of this.nodes) {
      if (!hasUpstream) continue;
      for (const attempt of upstream.awaited) attempt.deliver(bytes);
    }
    await this.settle();
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(left, 100));
      await this.settle();
    }
  }

  /** Everybody who still reads comes to the end, as upstream goes on and time passes. */
  async finish(): Promise<void> {
    for (let round = 0; round < 400; round++) {
      const isOver = this.nodes.every(
        ({ readers, table }) => table.size === 0 && readers.every(({ isFollowing }) => !isFollowing),
      );
      if (isOver) return;
      await this.upstream(3000);
      await this.pass(100);
    }
    assert.fail(`somebody waits for ever: ${this.shown()}`);
  }

  shown(): string {
    return this.nodes
      .map(({ facts, shares, readers, isDead, table, upstream, sentBytes }) => {
        const read = readers.map(({ outcome, position }) => `${String(outcome)} at ${position}`);
        const flights = table.snapshots().map(({ state, waitingFor }) => `${state} ${waitingFor ?? ''}`);
        const share = shares.at(-1);
        const asked = `${upstream.attempts.length} requests, ${upstream.asking.length} open, sent ${sentBytes}`;
        return `${facts.id}${isDead ? ' (dead)' : ''}: ${share?.state} of ${share?.parents.join()} ${flights} ${read}, ${asked}`;
      })
      .join('\n');
  }

  /** Every reader of a node that lives had every byte. */
  assertAllHave(): void {
    for (const { readers, isDead, facts } of this.nodes) {
      for (const { outcome, received } of readers) {
        if (isDead) continue;
        assert.equal(outcome, 'complete', facts.id);
        assert.ok(Buffer.from(received).equals(this.content), facts.id);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node[Symbol.asyncDispose]();
    assert.equal(this.clock.pending, 0, 'timers are left');
  }
}

async function* chunksOf(
  reader: FlightReader,
  { start, end }: { start: number; end: number },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    for (let at = start; at < end; ) {
      const to = Math.min(await reader.whenReadable(at, signal), at + peerChunkBytes);
      const { storage } = reader;
      const chunk = new Uint8Array(to - at);
      if (storage.kind === 'memory') chunk.set(storage.bytes.subarray(at, to));
      else readSync(storage.fd, chunk, 0, chunk.length, at);
      at = to;
      yield chunk;
    }
  } finally {
    reader.close();
  }
}

/** As connecting does to where nothing comes back from. */
function timesOut(clock: Clock, signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const late = new AppError('UPSTREAM_TIMEOUT', 'connecting took too long');
    const timer = clock.after(connectTimeoutMs, () => reject(late));
    signal.addEventListener('abort', () => {
      timer.clear();
      reject(signal.reason);
    });
  });
}

function hangs(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}
