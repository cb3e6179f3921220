import type { Clock, Timer } from '../core/clock.ts';
import type { AppError } from '../core/errors.ts';
import type { Urgency } from '../flights/source.ts';
import { nextInLine, precedenceMs } from '../routing/queue-order.ts';
import type { GateWhat } from './pauses.ts';

/** Who waits for a turn, and how that is told. */
export interface LineAsk {
  readonly what: GateWhat;
  /** For a fair turn: looked at whenever one is let in. */
  readonly urgency?: (() => Urgency) | undefined;
  /** Told what is waited for, in words, whenever that changes; undefined: let in. Never told where nothing was. */
  readonly waiting?: ((reason: string | undefined) => void) | undefined;
}

export interface Waiter<Turn> {
  readonly ask: LineAsk;
  /** Takes it out of its wait: its timer and its listener are gone. */
  readonly release: () => void;
  readonly resolve: (turn: Turn) => void;
  readonly reject: (error: AppError) => void;
}

interface Place {
  readonly sinceMs: number;
  reason: string | undefined;
}

/** Where one stands in a line of at most so many is told at once whenever it changes; a look at a longer one costs time ... */
const shortLine = 32;
/** ... and is taken so often at the most. */
const tellEveryMs = 500;
const idleUrgency: Urgency = { waiters: 1, missingBytes: undefined };

/**
 * Those who wait at one gate, in the order in which they came, and whose turn it is.
 *
 * To come, to leave and to be refused costs the same however long the line is, so that thousands may do so at once; only to
 * find the next one takes a look at each. Everybody hears at once that they wait, and that they wait no more. While the line
 * is long one timer runs, at the most, until it is told anew; an empty line has none.
 */
export class WaitingLine<Turn> {
  readonly #clock: Clock;
  readonly #reasonOf: (what: GateWhat, ahead: number) => string;
  readonly #places = new Map<Waiter<Turn>, Place>();
  readonly #counts = new Map<GateWhat, number>();
  #tellTimer: Timer | undefined;

  constructor(deps: { clock: Clock }, options: { reasonOf: (what: GateWhat, ahead: number) => string }) {
    this.#clock = deps.clock;
    this.#reasonOf = options.reasonOf;
  }

  get size(): number {
    return this.#places.size;
  }

  /** What is waited for by anybody. */
  get whats(): GateWhat[] {
    return [...this.#counts.keys()];
  }

  add(waiter: Waiter<Turn>): void {
    const place: Place = { sinceMs: this.#clock.monotonic(), reason: undefined };
    const ahead = this.#counts.get('blob-body') ?? 0;
    this.#places.set(waiter, place);
    this.#counts.set(waiter.ask.what, (this.#counts.get(waiter.ask.what) ?? 0) + 1);
    if (this.size > shortLine) this.#say(waiter, place, ahead);
  }

  /** Takes one out for `error`. Does nothing if it has left the line. */
  refuse(waiter: Waiter<Turn>, error: AppError): void {
    if (this.#remove(waiter)) waiter.reject(error);
  }

  /** Takes out all for whom there is an error. */
  refuseAll(errorOf: (what: GateWhat) => AppError | undefined): void {
    const errors = new Map(this.whats.map((what) => [what, errorOf(what)]));
    for (const waiter of [...this.#places.keys()]) {
      const error = errors.get(waiter.ask.what);
      if (error !== undefined) this.refuse(waiter, error);
    }
  }

  /** Takes out whose turn it is among those whose kind may pass. */
  take(isOpen: (what: GateWhat) => boolean): Waiter<Turn> | undefined {
    const open = this.whats.filter((what) => isOpen(what));
    if (open.length === 0) return undefined;
    const able = [...this.#places].filter(([{ ask }]) => open.includes(ask.what));
    const next = nextInLine(able.map(([{ ask }, place]) => this.#precedenceMs(ask, place)));
    const [waiter] = (next === undefined ? undefined : able[next]) ?? [];
    if (waiter !== undefined) this.#remove(waiter);
    return waiter;
  }

  /** Tells everybody where they stand, at once or soon. */
  tell(): void {
    if (this.size > shortLine) {
      this.#tellTimer ??= this.#clock.after(tellEveryMs, () => {
        this.#tellTimer = undefined;
        this.#tellAll();
      });
      return;
    }
    this.#tellTimer?.clear();
    this.#tellTimer = undefined;
    this.#tellAll();
  }

  #tellAll(): void {
    const inOrder = [...this.#places].map((entry) => ({
      entry,
      precedence: this.#precedenceMs(entry[0].ask, entry[1]),
    }));
    inOrder.sort((a, b) => b.precedence - a.precedence);
    let ahead = 0;
    for (const { entry } of inOrder) {
      const [waiter, place] = entry;
      // Whoever was told may have left for it, and so made others leave.
      if (this.#places.has(waiter)) this.#say(waiter, place, ahead);
      if (waiter.ask.what === 'blob-body') ahead++;
    }
  }

  #say({ ask }: Waiter<Turn>, place: Place, ahead: number): void {
    const reason = this.#reasonOf(ask.what, ahead);
    if (reason === place.reason) return;
    place.reason = reason;
    ask.waiting?.(reason);
  }

  #remove(waiter: Waiter<Turn>): boolean {
    if (!this.#places.delete(waiter)) return false;
    const { what } = waiter.ask;
    const left = (this.#counts.get(what) ?? 1) - 1;
    if (left > 0) this.#counts.set(what, left);
    else this.#counts.delete(what);
    waiter.release();
    return true;
  }

  #precedenceMs({ urgency }: LineAsk, { sinceMs }: Place): number {
    return precedenceMs({ waitedMs: this.#clock.monotonic() - sinceMs, ...(urgency?.() ?? idleUrgency) });
  }
}
