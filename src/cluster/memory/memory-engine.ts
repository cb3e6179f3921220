import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import { chooseHolder, isBehind } from '../../routing/holder-choice.ts';
import type {
  Claim,
  CoordinatorOptions,
  Member,
  NodeFacts,
  NodeId,
  NodeLoad,
  SharedPause,
  Standing,
  Visit,
} from '../coordinator.ts';

interface Entry {
  readonly node: NodeId;
  readonly zone: string | undefined;
  readonly address: string;
  readonly protocol: number;
  readonly prefixBytes: number;
  readonly sizeBytes: number | undefined;
  readonly isComplete: boolean;
  readonly parents: readonly NodeId[];
  /** Until when it counts. */
  readonly untilMs: number;
}

interface Lease {
  readonly node: NodeId;
  readonly token: string;
  readonly untilMs: number;
}

interface Told {
  readonly value: string;
  readonly atMs: number;
  readonly untilMs: number;
}

/**
 * What an engine knows, in the memory of one process: for tests and simulations, where several coordinators share one. It
 * says the same as the scripts that run in Redis do.
 */
export class MemoryEngine {
  readonly #clock: Clock;
  readonly #options: CoordinatorOptions;
  readonly #members = new Map<NodeId, { node: NodeFacts; load: NodeLoad; atMs: number }>();
  readonly #leases = new Map<string, Lease>();
  readonly #holders = new Map<Digest, Map<NodeId, Entry>>();
  readonly #told = new Map<string, Told>();
  readonly #pauses = new Map<string, SharedPause & { untilMs: number }>();
  #tokens = 0;

  constructor(clock: Clock, options: CoordinatorOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** As if it had been started anew, without what it knew. */
  forgetAll(): void {
    for (const known of [this.#members, this.#leases, this.#holders, this.#told, this.#pauses]) known.clear();
  }

  beat(node: NodeFacts, load: NodeLoad): { members: Member[]; pauses: SharedPause[] } {
    const atMs = this.#nowMs;
    this.#members.set(node.id, { node, load, atMs });
    for (const [id, member] of this.#members) {
      if (atMs - member.atMs > this.#options.staleMs) this.#members.delete(id);
    }
    const members = [...this.#members.values()].map((member) => ({
      node: member.node,
      load: member.load,
      silentMs: atMs - member.atMs,
    }));
    const pauses: SharedPause[] = [];
    for (const { untilMs, ...pause } of this.#pauses.values()) {
      if (untilMs > atMs) pauses.push({ ...pause, leftMs: untilMs - atMs });
    }
    return { members: members.sort((a, b) => (a.node.id < b.node.id ? -1 : 1)), pauses };
  }

  part(node: NodeId): void {
    this.#members.delete(node);
  }

  visit(node: NodeFacts, digest: Digest, visit: Visit): Standing {
    const { id, zone, address, protocol } = node;
    const { prefixBytes, sizeBytes } = visit;
    const { maxChildren, staleMs } = this.#options;
    const entries = this.#holdersOf(digest);
    const held = this.#lease(digest);
    const { yields = false } = visit;
    const onlyAhead = yields || visit.onlyAhead === true;
    if (yields && held?.node === id) this.#leases.delete(digest);
    const isVoid = held !== undefined && (visit.gone.includes(held.node) || (yields && held.node === id));
    const lease = isVoid ? undefined : held;
    const note = (named: readonly NodeId[]) => {
      const parents = [...new Set(named)];
      const untilMs = this.#nowMs + staleMs;
      entries.set(id, {
        node: id,
        zone,
        address,
        protocol,
        prefixBytes,
        sizeBytes,
        isComplete: false,
        parents,
        untilMs,
      });
    };
    // Its own lease it may have got by an answer that never came.
    const token = lease?.node === id ? lease.token : lease === undefined ? visit.token : undefined;
    if (token !== undefined && !yields && (visit.seeks || visit.token === token)) {
      note(visit.parents);
      this.#lend(digest, id, token);
      return { kind: 'leads', token };
    }
    if (!visit.seeks) {
      note(visit.parents);
      return { kind: 'noted' };
    }
    const { avoid, among } = visit;
    const ask = { node: id, zone, prefixBytes, onlyAhead, avoid, among, maxChildren };
    const holder = chooseHolder(ask, [...entries.values()]);
    if (holder !== undefined && (lease !== undefined || !isBehind(holder, ask))) {
      note([...visit.parents, holder.node]);
      const { node: name, parents: _, untilMs: __, ...facts } = holder;
      return { kind: 'follows', holder: { node: name, ...facts } };
    }
    if (yields) entries.delete(id);
    else note(visit.parents);
    if (lease !== undefined) {
      const leader = entries.get(lease.node);
      const isAhead = leader === undefined || leader.isComplete || leader.prefixBytes > prefixBytes;
      return { kind: 'waits', leader: lease.node, isAhead };
    }
    if (yields) return { kind: 'noted' };
    const fresh = this.#token(id);
    this.#lend(digest, id, fresh);
    return { kind: 'leads', token: fresh };
  }

  leave(node: NodeFacts, digest: Digest, token: string | undefined, isComplete: boolean): void {
    if (token !== undefined && this.#lease(digest)?.token === token) this.#leases.delete(digest);
    const entries = this.#holdersOf(digest);
    const known = entries.get(node.id);
    if (isComplete) this.announce(node, digest, known?.sizeBytes);
    else if (known?.isComplete !== true) entries.delete(node.id);
  }

  announce({ id, zone, address, protocol }: NodeFacts, digest: Digest, sizeBytes: number | undefined): void {
    this.#holdersOf(digest).set(id, {
      ...{ node: id, zone, address, protocol, sizeBytes },
      ...{ prefixBytes: sizeBytes ?? 0, isComplete: true, parents: [], untilMs: this.#nowMs + this.#options.holderMs },
    });
  }

  lost(digest: Digest, node: NodeId): void {
    this.#holdersOf(digest).delete(node);
  }

  claim(node: NodeId, key: string, maxAgeMs: number): Claim {
    const nowMs = this.#nowMs;
    const told = this.#told.get(key);
    if (told !== undefined && told.untilMs > nowMs && nowMs - told.atMs <= maxAgeMs) {
      return { kind: 'known', value: told.value, ageMs: nowMs - told.atMs };
    }
    const lock = this.#lease(key);
    if (lock !== undefined) return { kind: 'theirs', leftMs: lock.untilMs - nowMs };
    const token = this.#token(node);
    this.#lend(key, node, token);
    return { kind: 'mine', token };
  }

  keep(node: NodeId, key: string, token: string): void {
    if (this.#lease(key)?.token === token) this.#lend(key, node, token);
  }

  settle(key: string, token: string, value: string, keepMs: number): void {
    if (this.#lease(key)?.token !== token) return;
    const atMs = this.#nowMs;
    this.#told.set(key, { value, atMs, untilMs: atMs + keepMs });
    this.drop(key, token);
  }

  drop(key: string, token: string): void {
    if (this.#lease(key)?.token === token) this.#leases.delete(key);
  }

  pause(pause: SharedPause): void {
    const key = [pause.upstream, pause.endpoint, pause.what].join(' ');
    const untilMs = this.#nowMs + pause.leftMs;
    if (untilMs > (this.#pauses.get(key)?.untilMs ?? 0)) this.#pauses.set(key, { ...pause, untilMs });
  }

  get #nowMs(): number {
    return this.#clock.monotonic();
  }

  #token(node: NodeId): string {
    return `${node} ${++this.#tokens}`;
  }

  #lease(key: string): Lease | undefined {
    const lease = this.#leases.get(key);
    return lease !== undefined && lease.untilMs > this.#nowMs ? lease : undefined;
  }

  #lend(key: string, node: NodeId, token: string): void {
    this.#leases.set(key, { node, token, untilMs: this.#nowMs + this.#options.leaseMs });
  }

  /** Those that count now. */
  #holdersOf(digest: Digest): Map<NodeId, Entry> {
    let entries = this.#holders.get(digest);
    if (entries === undefined) {
      entries = new Map();
      this.#holders.set(digest, entries);
    }
    for (const [id, { untilMs }] of entries) if (untilMs <= this.#nowMs) entries.delete(id);
    return entries;
  }
}
