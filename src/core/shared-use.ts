/** Taken back: nobody enters any more. */
const takenBack = -1;

/**
 * Who uses something that its owner wants back some day: a count in shared memory, so that users in other threads come and
 * go without asking.
 *
 * Invariants: the word is the number of users, or -1 once it is taken back. It is taken back only while nobody uses it, and
 * whoever has entered may go on until it leaves; of a user and an owner that come at the same moment one is told no. One
 * word serves one thread of users: what a thread that died had entered is written off with `forget`, by the owner.
 */
export class SharedUse {
  readonly #words: Int32Array;
  readonly #index: number;

  constructor(words: Int32Array, index: number) {
    this.#words = words;
    this.#index = index;
  }

  get users(): number {
    return Math.max(0, Atomics.load(this.#words, this.#index));
  }

  get isTakenBack(): boolean {
    return Atomics.load(this.#words, this.#index) === takenBack;
  }

  /** Begins a use, unless it was taken back. Whoever was let in must `leave`. */
  enter(): boolean {
    for (;;) {
      const users = Atomics.load(this.#words, this.#index);
      if (users === takenBack) return false;
      if (Atomics.compareExchange(this.#words, this.#index, users, users + 1) === users) return true;
    }
  }

  leave(): void {
    Atomics.sub(this.#words, this.#index, 1);
  }

  /** Ends it for good if nobody uses it now; says whether it has ended. */
  takeBack(): boolean {
    const before = Atomics.compareExchange(this.#words, this.#index, 0, takenBack);
    return before === 0 || before === takenBack;
  }

  /** Lends it anew, after it was taken back; or writes off users that died. */
  forget(): void {
    Atomics.store(this.#words, this.#index, 0);
  }
}
