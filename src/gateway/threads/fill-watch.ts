import type { Clock, Timer } from '../../core/clock.ts';
import type { FillMark } from '../../core/fill-mark.ts';

/** A reader that waits for a fill. */
export interface FillSleeper {
  /** The body's number. */
  readonly body: number;
  readonly offset: number;
  /** What is said when there is more, or will be nothing more by this mark. */
  wake(): void;
}

export interface FillWatchDeps {
  readonly clock: Clock;
  /** Tells the fill where readers wait. */
  tell(at: readonly (readonly [body: number, offset: number])[]): void;
}

interface Entry {
  readonly sinceMs: number;
  /** It waits where nothing comes, as far as one can see from here. */
  readonly isAhead: boolean;
  told: boolean;
}

/** A fill is told of those who wait so often at most; those who wait where it comes, only once they have for `patienceMs`. */
const tellEveryMs = 50;
const patienceMs = 100;

/**
 * All readers of one thread that wait for one fill: they sleep on its mark together.
 *
 * Invariants: while somebody sleeps, exactly one wait on the mark is under way, begun with the version from before the
 * sleepers were last looked at, so that no change is missed; a crowd costs one waking. Who is woken is asleep no more. The
 * fill hears of a sleeper at most once: at once where it waits ahead of what comes, so that a range is opened there;
 * else only if nothing came for a while. Without sleepers there is no timer.
 */
export class FillWatch {
  readonly mark: FillMark;
  readonly #deps: FillWatchDeps;
  readonly #sleepers = new Map<FillSleeper, Entry>();
  #isWaiting = false;
  #timer: Timer | undefined;
  #dueMs = 0;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(deps: FillWatchDeps, mark: FillMark) {
    this.#deps = deps;
    this.mark = mark;
  }

  get sleepers(): number {
    return this.#sleepers.size;
  }

  /** Whether the mark will say when the byte at `offset` comes; else only the real body does. */
  tells(offset: number): boolean {
    const { mark } = this;
    return !mark.isOver && !mark.isVerified && !mark.isSilentAt(offset);
  }

  /** Wakes it once as soon as more can be read at its offset, or the mark tells it nothing more. Never before it returns. */
  add(sleeper: FillSleeper): void {
    const { offset } = sleeper;
    const isAhead = offset > 0 && this.mark.readableTo(offset - 1) < offset;
    const entry = { sinceMs: this.#deps.clock.monotonic(), isAhead, told: false };
    this.#sleepers.set(sleeper, entry);
    this.#tellLater(isAhead ? this.#toldMs + tellEveryMs : entry.sinceMs + patienceMs);
    this.#wait();
  }

  delete(sleeper: FillSleeper): void {
    this.#sleepers.delete(sleeper);
    if (this.#sleepers.size === 0) this.#stopTelling();
  }

  #wait(): void {
    if (this.#isWaiting || this.#sleepers.size === 0) return;
    this.#isWaiting = true;
    const seen = this.mark.version;
    // What changed since the sleeper looked is found when it is looked at again, which is never before `add` has returned.
    const changed = this.#anybodyReady() ? Promise.resolve() : this.mark.changed(seen);
    void (changed ?? Promise.resolve()).then(this.#onChange);
  }

  readonly #onChange = (): void => {
    this.#isWaiting = false;
    for (const sleeper of this.#sleepers.keys()) {
      if (!this.#isReady(sleeper)) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
    if (this.#sleepers.size === 0) this.#stopTelling();
    this.#wait();
  };

  #anybodyReady(): boolean {
    for (const sleeper of this.#sleepers.keys()) if (this.#isReady(sleeper)) return true;
    return false;
  }

  #isReady({ offset }: FillSleeper): boolean {
    return !this.tells(offset) || this.mark.readableTo(offset) > offset;
  }

  #tellLater(atMs: number): void {
    if (this.#timer !== undefined && this.#dueMs <= atMs) return;
    this.#timer?.clear();
    this.#dueMs = atMs;
    const delayMs = Math.max(0, atMs - this.#deps.clock.monotonic());
    this.#timer = this.#deps.clock.after(delayMs, () => this.#tellNow());
  }

  #stopTelling(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }

  #tellNow(): void {
    this.#timer = undefined;
    const nowMs = this.#deps.clock.monotonic();
    const at: [number, number][] = [];
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [{ body, offset }, entry] of this.#sleepers) {
      if (entry.told) continue;
      const dueMs = entry.isAhead ? nowMs : entry.sinceMs + patienceMs;
      if (dueMs > nowMs) {
        nextMs = Math.min(nextMs, dueMs);
        continue;
      }
      entry.told = true;
      at.push([body, offset]);
    }
    if (at.length > 0) {
      this.#toldMs = nowMs;
      this.#deps.tell(at);
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#tellLater(Math.max(nextMs, this.#toldMs + tellEveryMs));
  }
}
