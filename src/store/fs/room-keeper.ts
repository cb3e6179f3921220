import type { Digest } from '../../core/digest.ts';
import type { Room } from '../content-store.ts';
import { type EvictionGoals, evictionGoals } from './eviction-policy.ts';

export interface RoomKeeperDeps {
  /** `evict` resolves with whether what should leave could. */
  readonly evictor: { evict(goals: EvictionGoals): Promise<boolean> };
  readonly space: { freeBytes(): Promise<number | undefined>; freeBytesNow(): Promise<number | undefined> };
  readonly reservations: {
    promise(digest: Digest, sizeBytes: number): void;
    restOf(digest: Digest): number;
    total(except?: Digest): number;
  };
  /** What the digest's partial file takes of the disk now. */
  readonly writtenBytes: (digest: Digest) => number;
  /** What the store takes of the disk: committed content, open fills and leftovers. */
  readonly usageBytes: () => number;
  /** What could leave at the very most. */
  readonly evictableBytes: () => number;
  /** The disk has no room, whatever leaves. */
  readonly onDiskFull: (freeBytes: number, needBytes: number) => void;
}

export interface RoomKeeperOptions {
  readonly maxSizeBytes: number;
  /** What the disk keeps free, whoever fills it. */
  readonly minFreeBytes: number;
}

/** How much too little room there is; not positive: enough. */
interface Lack {
  readonly cacheBytes: number;
  readonly diskBytes: number;
}

// An eviction that freed less than it should have (blocks shared with a snapshot, another process that writes) is repeated.
const maxRounds = 4;
const leastReliefBytes = 8 * 2 ** 20;
const blockSlackBytes = 2 ** 20;

/**
 * Decides whether content may come, and makes room for it: within the cache's own bound, and on the disk, of which it
 * leaves `minFreeBytes` alone.
 *
 * Invariants
 * - What is promised counts from the tick of the decision (`Reservations`), so no room is promised twice.
 * - What needs an eviction waits for its turn (`#turn`): one at a time decides, evicts, looks again. What fits without one
 *   waits for nobody.
 * - Where even all that may leave would not do, nothing leaves: an upper bound of it is known beforehand.
 * - Nothing here rejects. A crash loses promises, with the fills that they were made to.
 */
export class RoomKeeper implements AsyncDisposable {
  readonly #deps: RoomKeeperDeps;
  readonly #options: RoomKeeperOptions;
  #turn: Promise<unknown> = Promise.resolve();
  #keeping: Promise<void> | undefined;
  #beneficiary: Digest | undefined;
  #reliefs = 0;
  #isStopped = false;

  constructor(deps: RoomKeeperDeps, options: RoomKeeperOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Room for content of `sizeBytes`, kept for the fill of `digest` if one is named: what that has on disk counts. */
  async makeRoom(sizeBytes: number, digest?: Digest): Promise<Room> {
    if (sizeBytes > this.#options.maxSizeBytes) return 'too-large';
    const free = await this.#deps.space.freeBytes();
    if (this.#fits(sizeBytes, digest, free)) return 'enough';
    return this.#inTurn(() =>
      this.#evictFor(sizeBytes, digest).finally(() => {
        this.#beneficiary = undefined;
      }),
    );
  }

  /** Whether content is leaving for the digest just now: what it has on disk stays, or the room would be for nothing. */
  isFor(digest: Digest): boolean {
    return this.#beneficiary === digest;
  }

  /** Keeps the bounds as the store grows and others take of the disk. Calls that come while one runs share the next. */
  keep(): Promise<void> {
    // What is given back at the very end finds the catalog closed.
    if (this.#isStopped) return Promise.resolve();
    this.#keeping ??= this.#deps.space.freeBytes().then((free) => {
      this.#keeping = undefined;
      if (this.#isStopped) return undefined;
      const { cacheBytes, diskBytes } = this.#lack(0, undefined, free);
      const isEnough = cacheBytes <= 0 && diskBytes <= 0;
      return isEnough ? undefined : this.#inTurn(() => this.#evictWhatHelps());
    });
    return this.#keeping;
  }

  /** The disk refused bytes of this fill although there seemed to be room: frees what it still needs, if that can be had. */
  relieve(digest: Digest): Promise<void> {
    const reliefs = this.#reliefs;
    return this.#inTurn(async () => {
      const { evictor, evictableBytes, reservations, space, usageBytes } = this.#deps;
      const rest = reservations.restOf(digest);
      const evictable = evictableBytes();
      const want = rest > 0 ? rest + blockSlackBytes : Math.min(leastReliefBytes, evictable);
      const free = (await space.freeBytesNow()) ?? 0;
      if (free >= want && this.#reliefs !== reliefs) return;
      // A quota may be what is full: then the disk's free space means nothing.
      const missing = free >= want ? want : want - free;
      if (missing > evictable + blockSlackBytes) return;
      const goalBytes = usageBytes() - missing;
      await evictor.evict({ wantedBytes: goalBytes, neededBytes: goalBytes });
      this.#reliefs++;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await this.#keeping;
    await this.#turn;
  }

  /** Whether there is room now; then it is promised, in this tick. */
  #fits(sizeBytes: number, digest: Digest | undefined, freeBytes: number | undefined): boolean {
    const { cacheBytes, diskBytes } = this.#lack(sizeBytes, digest, freeBytes);
    if (cacheBytes > 0 || diskBytes > 0) return false;
    if (digest !== undefined) this.#deps.reservations.promise(digest, sizeBytes);
    return true;
  }

  #lack(sizeBytes: number, digest: Digest | undefined, freeBytes: number | undefined): Lack {
    const { reservations, usageBytes, writtenBytes } = this.#deps;
    const need = Math.max(0, sizeBytes - (digest === undefined ? 0 : writtenBytes(digest)));
    const taken = reservations.total(digest) + need;
    return {
      cacheBytes: usageBytes() + taken - this.#options.maxSizeBytes,
      diskBytes: freeBytes === undefined ? 0 : taken + this.#options.minFreeBytes - freeBytes,
    };
  }

  async #evictFor(sizeBytes: number, digest: Digest | undefined): Promise<Room> {
    const { evictor, space, usageBytes, writtenBytes, evictableBytes } = this.#deps;
    this.#beneficiary = digest;
    let couldLeave = true;
    for (let round = 0; ; round++) {
      const free = await (round === 0 ? space.freeBytes() : space.freeBytesNow());
      if (this.#fits(sizeBytes, digest, free)) return 'enough';
      const lack = this.#lack(sizeBytes, digest, free);
      const before = usageBytes();
      const evictable = evictableBytes() - (digest === undefined ? 0 : writtenBytes(digest));
      const isHopeless = Math.max(lack.cacheBytes, lack.diskBytes) > evictable;
      if (!isHopeless && round < maxRounds && !this.#isStopped) {
        const goals = evictionGoals(before, lack, this.#options.maxSizeBytes);
        if (goals !== undefined) couldLeave = await evictor.evict(goals);
        if (couldLeave && usageBytes() < before) continue;
      }
      if (!couldLeave) return 'disk-failed';
      const isDisk = lack.diskBytes > evictable || (lack.cacheBytes <= evictable && lack.diskBytes > 0);
      if (!isDisk || free === undefined) return 'cache-in-use';
      this.#deps.onDiskFull(free, sizeBytes);
      return 'disk-full';
    }
  }

  /** The cache's bound as far as it goes; the disk's only where evicting reaches it. */
  async #evictWhatHelps(): Promise<void> {
    const { evictor, space, usageBytes, evictableBytes } = this.#deps;
    const { cacheBytes, diskBytes } = this.#lack(0, undefined, await space.freeBytes());
    const reachable = diskBytes > evictableBytes() ? 0 : diskBytes;
    const goals = evictionGoals(usageBytes(), { cacheBytes, diskBytes: reachable }, this.#options.maxSizeBytes);
    if (goals !== undefined && !this.#isStopped) await evictor.evict(goals);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result;
    return result;
  }
}
