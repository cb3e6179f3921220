import { SharedUse } from '../core/shared-use.ts';

const wordsPerBuffer = 128;

/** Where a lease is entered: the word of a `SharedUse`. */
export interface LeaseWord {
  readonly words: SharedArrayBuffer;
  readonly index: number;
  readonly use: SharedUse;
}

/**
 * Words for leases.
 *
 * Invariant: a word is given out once, to one lease. So one that was taken back is taken back for whoever still has it, in
 * whatever thread and however late it comes: it can never be let in to another file. That costs no memory in the long run:
 * the words stand in small buffers, and each goes with the garbage when no thread remembers a lease in it any more, which
 * is the very moment from which nobody could enter.
 */
export class LeaseWords {
  #buffer = new SharedArrayBuffer(0);
  #words = new Int32Array(this.#buffer);
  #next = 0;

  take(): LeaseWord {
    if (this.#next === this.#words.length) {
      this.#buffer = new SharedArrayBuffer(wordsPerBuffer * Int32Array.BYTES_PER_ELEMENT);
      this.#words = new Int32Array(this.#buffer);
      this.#next = 0;
    }
    const index = this.#next++;
    return { words: this.#buffer, index, use: new SharedUse(this.#words, index) };
  }
}

/**
 * The leases on one open file, one for each gateway at most.
 *
 * Invariants: a lease that is listed may be entered at any moment, from its gateway's thread; once `takeBack` has said yes
 * none is listed, nobody is in one, and nobody gets in to those that there were. Only the owner's thread calls this. A
 * gateway that died has left nothing behind once it was written off: it neither enters nor leaves any more.
 */
export class FileLeases {
  readonly #words: LeaseWords;
  readonly #byGateway = new Map<number, LeaseWord>();

  constructor(words: LeaseWords) {
    this.#words = words;
  }

  get size(): number {
    return this.#byGateway.size;
  }

  /** Whether a gateway reads the file now. */
  get isUsed(): boolean {
    for (const { use } of this.#byGateway.values()) if (use.users > 0) return true;
    return false;
  }

  /** The gateway's lease, the same one until it is taken back. */
  of(gateway: number): LeaseWord {
    const known = this.#byGateway.get(gateway);
    if (known !== undefined) return known;
    const word = this.#words.take();
    this.#byGateway.set(gateway, word);
    return word;
  }

  /** Takes back every lease that nobody is in; says whether that was all of them. */
  takeBack(): boolean {
    for (const [gateway, { use }] of this.#byGateway) if (use.takeBack()) this.#byGateway.delete(gateway);
    return this.#byGateway.size === 0;
  }

  /** The gateway's thread has died, in the middle of whatever. */
  writeOff(gateway: number): void {
    const word = this.#byGateway.get(gateway);
    if (word === undefined) return;
    word.use.forget();
    word.use.takeBack();
    this.#byGateway.delete(gateway);
  }
}
