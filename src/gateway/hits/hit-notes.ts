import type { Clock, Timer } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import type { Reference } from '../../core/reference.ts';
import type { Scope } from '../../core/scope.ts';
import type { HitLog, HitNote } from '../../pull/depot.ts';

/** How often one remembered answer was given since that was last told. */
export class HitCount {
  readonly scope: Scope;
  readonly digest: Digest;
  readonly reference: Reference | undefined;
  gets = 0;
  heads = 0;

  constructor(scope: Scope, digest: Digest, reference: Reference | undefined) {
    this.scope = scope;
    this.digest = digest;
    this.reference = reference;
  }
}

/** What is told is as old as this, at most. */
const tellEveryMs = 1_000;

/**
 * Counts answers that were given from memory and tells the depot, one note for each kind: the first at once, and what
 * follows within a second together.
 *
 * Invariants: what was counted is told once, at the latest when this is disposed of. A timer waits only for a second after
 * something was told.
 */
export class HitNotes implements Disposable {
  readonly #log: HitLog;
  readonly #clock: Clock;
  #untold: HitCount[] = [];
  #timer: Timer | undefined;

  constructor(deps: { log: HitLog; clock: Clock }) {
    this.#log = deps.log;
    this.#clock = deps.clock;
  }

  add(count: HitCount, method: 'GET' | 'HEAD'): void {
    if (count.gets + count.heads === 0) this.#untold.push(count);
    if (method === 'GET') count.gets++;
    else count.heads++;
    if (this.#timer === undefined) this.#tell();
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    if (this.#untold.length > 0) this.#tell();
  };

  #tell(): void {
    this.#timer = this.#clock.after(tellEveryMs, this.#onTimer);
    const notes: HitNote[] = [];
    for (const count of this.#untold) {
      const { scope, digest, reference, gets, heads } = count;
      if (gets > 0) notes.push({ scope, digest, reference, method: 'GET', count: gets });
      if (heads > 0) notes.push({ scope, digest, reference, method: 'HEAD', count: heads });
      count.gets = 0;
      count.heads = 0;
    }
    this.#untold = [];
    this.#log.noteHits(notes);
  }

  [Symbol.dispose](): void {
    this.#timer?.clear();
    if (this.#untold.length > 0) this.#tell();
    this.#timer?.clear();
  }
}
