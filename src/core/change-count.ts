/**
 * How often something that was told may have become untrue: content left, a tag moved, a repository lost a digest. Whoever
 * remembers an answer notes the count from before it asked; while the count is the same, the answer stands. In shared
 * memory, so that threads look without asking.
 */
export class ChangeCount {
  /** For a `ChangeCount` in another thread. */
  readonly shared: SharedArrayBuffer;
  readonly #word: Int32Array;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.shared = shared;
    this.#word = new Int32Array(shared);
  }

  /** Only to be compared. */
  get value(): number {
    return Atomics.load(this.#word, 0);
  }

  /** After the change is in force, so that nobody who sees the new count remembers the old state. */
  bump(): void {
    Atomics.add(this.#word, 0, 1);
  }
}
