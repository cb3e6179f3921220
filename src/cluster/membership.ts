import { LRUCache } from 'lru-cache';
import type { Clock, Timer } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import type { Coordinator, Member, NodeId, NodeLoad, SharedPause } from './coordinator.ts';

export interface MembershipDeps {
  readonly clock: Clock;
  readonly coordinator: Pick<Coordinator, 'beat' | 'part' | 'announce'>;
  /** What this node does now. */
  readonly load: () => NodeLoad;
  /** Rests that endpoints asked other nodes for, or this one. */
  readonly onPauses: (pauses: readonly SharedPause[]) => void;
}

export interface MembershipOptions {
  readonly beatMs: number;
  /** Never more often than this, whoever wants to hear. */
  readonly leastBeatMs: number;
  /** Blobs that others are told of with one beat, at most. */
  readonly mostAnnounced: number;
  /** What is used is told again after so long. Well within the time for which it counts. */
  readonly announceAgainMs: number;
}

export const membershipDefaults: MembershipOptions = {
  beatMs: 1000,
  leastBeatMs: 100,
  mostAnnounced: 100,
  announceAgainMs: 6 * 3_600_000,
};

const mostRemembered = 65_536;

/**
 * Says about once a second that this node is there, hears who else is, and tells of content that is used here and may be of
 * use there.
 *
 * Invariants: at most one beat is under way, and one timer runs between two. What is to be announced waits in a bounded set; it
 * is told again when an engine answers anew, which may know nothing any more. After disposal nothing runs, and the others
 * have been told, if that was possible.
 */
export class Membership implements AsyncDisposable {
  readonly #deps: MembershipDeps;
  readonly #options: MembershipOptions;
  readonly #announced: LRUCache<Digest, true>;
  readonly #toAnnounce = new Map<Digest, number>();
  readonly #seen = new LRUCache<NodeId, true>({ max: 4096 });
  #members: readonly Member[] = [];
  #isHeard = false;
  #timer: Timer | undefined;
  #beating: Promise<void> = Promise.resolve();
  #isBeating = false;
  /** Somebody waits to hear anew. */
  #hearing: PromiseWithResolvers<void> | undefined;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #isOver = false;

  constructor(deps: MembershipDeps, options: MembershipOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#announced = new LRUCache({
      max: mostRemembered,
      ttl: options.announceAgainMs,
      ttlResolution: 0,
      perf: { now: () => deps.clock.monotonic() },
    });
  }

  /** The first beat. Resolves when it is over, whatever came of it: within the engine's bound. */
  start(): Promise<void> {
    this.#beating = this.#beat();
    return this.#beating;
  }

  /** Hears anew who is there. Never rejects; takes as long as the engine's bound and `leastBeatMs` at most. */
  hear(): Promise<void> {
    if (this.#isOver || this.#isBeating) return this.#beating;
    if (this.#hearing !== undefined) return this.#hearing.promise;
    const { clock } = this.#deps;
    const hearing = Promise.withResolvers<void>();
    this.#hearing = hearing;
    this.#timer?.clear();
    const waitMs = Math.max(0, this.#heardAtMs + this.#options.leastBeatMs - clock.monotonic());
    this.#timer = clock.after(waitMs, () => {
      this.#beating = this.#beat();
      void this.#beating.then(() => hearing.resolve());
    });
    return hearing.promise;
  }

  /** Who was there at the last beat that was answered; empty while the engine does not answer. */
  get members(): readonly Member[] {
    return this.#isHeard ? this.#members : [];
  }

  /** Who was there at the last beat; undefined while the engine does not answer. */
  get heardOf(): readonly NodeId[] | undefined {
    return this.#isHeard ? this.#members.map(({ node }) => node.id) : undefined;
  }

  /** Whether the node is there; undefined where nobody knows: it may be so new that no beat has told of it. */
  isThere(node: NodeId): boolean | undefined {
    if (!this.#isHeard) return undefined;
    if (this.#members.some((member) => member.node.id === node)) return true;
    return this.#seen.has(node) ? false : undefined;
  }

  /** Content of this node's was used. */
  used(digest: Digest, sizeBytes: number): void {
    if (this.#announced.has(digest) || this.#toAnnounce.size >= 10 * this.#options.mostAnnounced) return;
    this.#toAnnounce.set(digest, sizeBytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#timer?.clear();
    await this.#beating;
    this.#hearing?.resolve();
    await this.#deps.coordinator.part().catch(() => {});
  }

  async #beat(): Promise<void> {
    const { clock, coordinator, load, onPauses } = this.#deps;
    this.#isBeating = true;
    this.#hearing = undefined;
    try {
      const { members, pauses } = await coordinator.beat(load());
      if (!this.#isHeard) this.#announced.clear();
      this.#isHeard = true;
      this.#members = members;
      for (const { node } of members) this.#seen.set(node.id, true);
      onPauses(pauses);
      await this.#announce();
    } catch {
      // It is said elsewhere that the engine does not answer. Who is there is not known then.
      this.#isHeard = false;
    }
    this.#isBeating = false;
    this.#heardAtMs = clock.monotonic();
    if (!this.#isOver) {
      this.#timer = clock.after(this.#options.beatMs, () => {
        this.#beating = this.#beat();
      });
    }
  }

  async #announce(): Promise<void> {
    const contents = [...this.#toAnnounce].slice(0, this.#options.mostAnnounced);
    if (contents.length === 0) return;
    await this.#deps.coordinator.announce(contents.map(([digest, sizeBytes]) => ({ digest, sizeBytes })));
    for (const [digest] of contents) {
      this.#toAnnounce.delete(digest);
      this.#announced.set(digest, true);
    }
  }
}
