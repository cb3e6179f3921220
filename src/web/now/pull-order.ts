import type { PullSnapshot } from '../../pull/pull-board.ts';

export interface OrderedPulls {
  /** In the order in which they began, so that a new one moves no other. */
  readonly active: readonly PullSnapshot[];
  /** The latest first. */
  readonly ended: readonly PullSnapshot[];
}

/** What ends stays where it was for so long, so that one sees how, and the list does not jump under the pointer. */
const lingerMs = 5000;

/**
 * Which pulls are in progress, in an order that holds still.
 *
 * A pull is in progress while one of its layers is on its way here. One that is served from the cache alone is not, however
 * many read it: it is over in a moment and would only flicker. As long as nothing is another, the answer is the same object:
 * the clock alone has nobody draw anything.
 */
export class PullOrder {
  /** By id, when it was last seen in progress, in the order in which they began. */
  readonly #seenMs = new Map<string, number>();
  #inProgress: ReadonlySet<string> = new Set();
  #pulls: readonly PullSnapshot[] | undefined;
  #shown: OrderedPulls = { active: [], ended: [] };
  /** Until then the clock changes nothing. */
  #goodUntilMs = Number.NEGATIVE_INFINITY;

  update(pulls: readonly PullSnapshot[], nowMs: number): OrderedPulls {
    if (pulls === this.#pulls && nowMs <= this.#goodUntilMs) return this.#shown;
    // What was told last was so until now.
    for (const id of this.#inProgress) this.#seenMs.set(id, nowMs);
    this.#pulls = pulls;
    const byId = new Map(pulls.map((pull) => [pull.id, pull]));
    for (const [id, seenMs] of this.#seenMs) {
      if (!byId.has(id) || nowMs - seenMs > lingerMs) this.#seenMs.delete(id);
    }
    const began = pulls.filter(isOnItsWay).sort((a, b) => a.firstAskedAtMs - b.firstAskedAtMs);
    for (const pull of began) this.#seenMs.set(pull.id, nowMs);
    this.#inProgress = new Set(began.map(({ id }) => id));
    const lingering = [...this.#seenMs].filter(([id]) => !this.#inProgress.has(id));
    this.#goodUntilMs = Math.min(...lingering.map(([, seenMs]) => seenMs + lingerMs));
    const active = [...this.#seenMs.keys()].flatMap((id) => byId.get(id) ?? []);
    const ended = pulls.filter((pull) => !this.#seenMs.has(pull.id)).sort((a, b) => b.lastAskedAtMs - a.lastAskedAtMs);
    this.#shown = { active, ended };
    return this.#shown;
  }
}

export function isOnItsWay({ layers }: Pick<PullSnapshot, 'layers'>): boolean {
  return layers.some(({ state }) => state === 'waiting' || state === 'pulling' || state === 'verifying');
}
