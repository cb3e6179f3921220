/** A number that several parts add to: what it is in all, theirs included. */
export interface SharedNumber {
  /** What this part has of it. */
  readonly own: number;
  readonly total: number;
  add(by: number): void;
}

/** A word of all parts that is said or not. */
export interface SharedFlag {
  isUp: boolean;
}

/** What gateways count together, since their bounds are for all of them (P8). */
export interface GatewayCounts {
  /** Answers under way. */
  readonly responses: SharedNumber;
  /** Connections that are open, those that are being refused not counted. */
  readonly connections: SharedNumber;
  /** Memory that is held until clients take it, in KiB. */
  readonly queuedKiB: SharedNumber;
  /** Bounds that were reached and have not opened again: of answers, and of queued bytes. */
  readonly full: SharedFlag;
  readonly heavy: SharedFlag;
}

const kinds = ['responses', 'connections', 'queuedKiB'] as const;
const flags = ['full', 'heavy'] as const;

/**
 * The counts of all gateways, in shared memory.
 *
 * Invariants: each gateway has words of its own, which it alone changes while it lives; a sum is of all words. So what one
 * counted that died is written off with `forget`, exactly. Who asks whether there is room for it has counted itself before:
 * of two that come at once to the last place, none or one is let in, never both. Flags are anybody's to change: what they
 * say is looked at anew by whoever is asked next.
 */
export class SharedCounts {
  readonly shared: SharedArrayBuffer;
  readonly #flags: Int32Array;
  readonly #words: Int32Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#flags = new Int32Array(shared, 0, flags.length);
    this.#words = new Int32Array(shared, this.#flags.byteLength);
  }

  static bytesFor(gateways: number): number {
    return (flags.length + gateways * kinds.length) * Int32Array.BYTES_PER_ELEMENT;
  }

  /** The counts of the gateway with this index. */
  of(gateway: number): GatewayCounts {
    const [responses, connections, queuedKiB] = [0, 1, 2].map((kind) => new SharedWord(this.#words, gateway, kind));
    if (!responses || !connections || !queuedKiB) throw new Error('a kind is missing');
    const [full, heavy] = [new SharedBit(this.#flags, 0), new SharedBit(this.#flags, 1)];
    return { responses, connections, queuedKiB, full, heavy };
  }

  /** It is gone, and with it all that it had. */
  forget(gateway: number): void {
    for (let kind = 0; kind < kinds.length; kind++) Atomics.store(this.#words, gateway * kinds.length + kind, 0);
  }
}

class SharedWord implements SharedNumber {
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #kind: number;

  constructor(words: Int32Array, gateway: number, kind: number) {
    this.#words = words;
    this.#index = gateway * kinds.length + kind;
    this.#kind = kind;
  }

  get own(): number {
    return Atomics.load(this.#words, this.#index);
  }

  get total(): number {
    let sum = 0;
    for (let at = this.#kind; at < this.#words.length; at += kinds.length) sum += Atomics.load(this.#words, at);
    return sum;
  }

  add(by: number): void {
    Atomics.add(this.#words, this.#index, by);
  }
}

class SharedBit implements SharedFlag {
  readonly #words: Int32Array;
  readonly #index: number;

  constructor(words: Int32Array, index: number) {
    this.#words = words;
    this.#index = index;
  }

  get isUp(): boolean {
    return Atomics.load(this.#words, this.#index) !== 0;
  }

  set isUp(isUp: boolean) {
    if (isUp !== this.isUp) Atomics.store(this.#words, this.#index, isUp ? 1 : 0);
  }
}

/** Of a gateway that is the only one. */
export function ownCounts(): GatewayCounts {
  return new SharedCounts(new SharedArrayBuffer(SharedCounts.bytesFor(1))).of(0);
}
