import type { Clock, Timer } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import { type CatalogDatabase, isCatalogTrouble, type Query } from './catalog-database.ts';
import { digestIn } from './catalog-rows.ts';
import type { UseClock } from './use-clock.ts';

const flushAfterMs = 5000;
const maxPending = 4096;
/** What is written in one turn of the event loop: in a large catalog each use, and the image that it is of, is on a page of its own. */
const usesAtOnce = 80;

export interface AccessTimesDeps {
  readonly clock: Clock;
  readonly useClock: Pick<UseClock, 'now'>;
  readonly database: CatalogDatabase;
}

/**
 * When content was last used. Uses gather in memory (a map entry each) and are written together, a few seconds later,
 * some in each turn, when there are many, when somebody asks (then all at once), or at the end; a crash loses those seconds. A use of a child is one of the
 * manifest that references it: an image whose layers are being pulled is recent, whoever has its manifest already. But a
 * layer that several images share says nothing about which of them is in use: were it one of each, no image on a base
 * that is pulled would ever be older than another.
 */
export class AccessTimes implements Disposable {
  readonly #clock: Clock;
  readonly #useClock: Pick<UseClock, 'now'>;
  readonly #database: CatalogDatabase;
  readonly #raise: Query;
  readonly #parents: Query;
  #pending = new Map<Digest, number>();
  /** What had gathered when the last writing began, and is not written yet. */
  #writing = new Map<Digest, number>();
  #timer: Timer | undefined;

  readonly #afterFlush: () => void;

  /** @param afterFlush called after each periodic flush: a beat for upkeep that stops when nothing is used */
  constructor(deps: AccessTimesDeps, afterFlush: () => void = () => {}) {
    this.#afterFlush = afterFlush;
    this.#clock = deps.clock;
    this.#useClock = deps.useClock;
    this.#database = deps.database;
    this.#raise = deps.database.prepare('UPDATE blob SET accessed = ?2 WHERE digest = ?1 AND accessed < ?2');
    this.#parents = deps.database.prepare('SELECT manifest FROM reference WHERE child = ? LIMIT 2');
  }

  touch(digest: Digest): void {
    this.#pending.set(digest, this.#useClock.now());
    if (this.#pending.size >= maxPending) this.#writeSome();
    else this.#timer ??= this.#clock.after(flushAfterMs, () => this.#writeSome());
  }

  flush(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    this.#write(this.#writing.size);
    this.#writing = this.#takePending();
    this.#write(this.#writing.size);
  }

  [Symbol.dispose](): void {
    this.flush();
  }

  /** A part of what had gathered when this began, and the rest in turns of its own. What comes meanwhile gathers anew. */
  #writeSome(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    if (this.#writing.size === 0) this.#writing = this.#takePending();
    try {
      this.#write(usesAtOnce);
      if (this.#writing.size === 0) this.#afterFlush();
    } catch {
      // A step of upkeep is left out.
    }
    const isDone = this.#writing.size === 0;
    if (isDone && this.#pending.size === 0) return;
    this.#timer = this.#clock.after(isDone ? flushAfterMs : 0, () => this.#writeSome());
  }

  #takePending(): Map<Digest, number> {
    const pending = this.#pending;
    this.#pending = new Map();
    return pending;
  }

  #write(count: number): void {
    const uses = [...this.#writing.entries().take(count)];
    if (uses.length === 0) return;
    for (const [digest] of uses) this.#writing.delete(digest);
    const raised = new Map<Digest, number>();
    try {
      this.#database.transaction(() => {
        for (const [digest, atMs] of uses) this.#raiseWithParents(digest, atMs, raised);
      });
    } catch (error) {
      // Uses of a few seconds are lost: whoever reads or evicts goes on without.
      if (!isCatalogTrouble(error)) throw error;
    }
  }

  #raiseWithParents(digest: Digest, atMs: number, raised: Map<Digest, number>): void {
    if ((raised.get(digest) ?? 0) >= atMs) return;
    raised.set(digest, atMs);
    this.#raise.run(digest, atMs);
    const [parent, other] = this.#parents.all(digest);
    if (parent !== undefined && other === undefined) this.#raiseWithParents(digestIn(parent, 'manifest'), atMs, raised);
  }
}
