import type { RefusedEvent } from '../telemetry/channels.ts';
import { ownCounts, type SharedFlag, type SharedNumber } from './shared-counts.ts';

export interface AdmissionOptions {
  /** Answers under way at the same time; one that waits for upstream is under way. */
  readonly maxResponses: number;
  /** Bytes held in memory until clients take them. */
  readonly maxQueuedBytes: number;
}

export interface AdmissionDeps {
  /** Of all gateways together, as the bounds are for all. */
  queuedBytes(): number;
  /** Answers under way. Left out: nobody else has any. */
  readonly responses?: SharedNumber | undefined;
  /** Whether a bound was reached and has not opened again since. Left out: nobody else refuses anybody. */
  readonly full?: SharedFlag | undefined;
  readonly heavy?: SharedFlag | undefined;
}

export type ResponseBound = Extract<RefusedEvent['bound'], 'responses' | 'queued-bytes'>;

/**
 * What a request asks of us. `ping` is answered from a constant. `head` has no body to hold: it is let in a little beyond
 * the bounds, so that a node which only asks whether its image has changed is told. `body` is all else.
 */
export type Burden = 'ping' | 'head' | 'body';

/** How many more answers without a body there may be, of `maxResponses`. */
const headroom = 0.1;
/** A bound that was reached lets nobody in until this much of it is in use, or each answer that ends would open it. */
const reopensAt = 0.9;

/**
 * Decides whether one more request is answered (P8).
 *
 * Invariants: of answers with a body at most `maxResponses` are under way in all gateways together, of all but pings at most a
 * tenth more. Whoever was let in leaves once. A bound that refuses goes on refusing, in every gateway, until its use has fallen
 * below `reopensAt`, which is seen when somebody leaves: also if nobody comes until it is nearly reached again. Nothing that
 * was let in is touched by what is refused.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #queuedBytes: () => number;
  readonly #responses: SharedNumber;
  readonly #maxHeads: number;
  readonly #full: SharedFlag;
  readonly #heavy: SharedFlag;

  constructor(deps: AdmissionDeps, options: AdmissionOptions) {
    this.#queuedBytes = () => deps.queuedBytes();
    const own = ownCounts();
    this.#responses = deps.responses ?? own.responses;
    this.#full = deps.full ?? own.full;
    this.#heavy = deps.heavy ?? own.heavy;
    this.#options = options;
    this.#maxHeads = options.maxResponses + Math.max(1, Math.floor(options.maxResponses * headroom));
  }

  /** Answers of this gateway that are under way. */
  get responses(): number {
    return this.#responses.own;
  }

  /** Lets one in, or says which bound is in the way. Whoever is let in must `leave`. */
  enter(burden: Burden): ResponseBound | undefined {
    // Counted before it is looked whether there is room: of two in two threads that come to the last place, one is let in.
    this.#responses.add(1);
    const bound = burden === 'ping' ? undefined : this.#boundFor(burden, this.#responses.total - 1);
    if (bound !== undefined) this.#responses.add(-1);
    return bound;
  }

  leave(): void {
    this.#responses.add(-1);
    if (this.#full.isUp || this.#heavy.isUp) this.#look(this.#responses.total);
  }

  #boundFor(burden: Burden, responses: number): ResponseBound | undefined {
    this.#look(responses);
    if (burden === 'head') return responses >= this.#maxHeads ? 'responses' : undefined;
    if (this.#full.isUp) return 'responses';
    return this.#heavy.isUp ? 'queued-bytes' : undefined;
  }

  #look(responses: number): void {
    const { maxResponses, maxQueuedBytes } = this.#options;
    this.#full.isUp = isOver(responses, maxResponses, this.#full.isUp);
    this.#heavy.isUp = isOver(this.#queuedBytes(), maxQueuedBytes, this.#heavy.isUp);
  }
}

function isOver(used: number, bound: number, wasOver: boolean): boolean {
  return used >= bound || (wasOver && used >= bound * reopensAt);
}
