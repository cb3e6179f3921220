/**
 * The memory that small blobs are filled in, of all flights together: what does not fit any more is filled on disk.
 *
 * Invariant: what was taken and not given back is at most `mostBytes`.
 */
export class SmallBlobMemory {
  readonly #mostBytes: number;
  #usedBytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Takes `bytes` until the returned function is called, once; undefined where they do not fit. */
  take(bytes: number): (() => void) | undefined {
    if (this.#usedBytes + bytes > this.#mostBytes) return undefined;
    this.#usedBytes += bytes;
    return () => {
      this.#usedBytes -= bytes;
    };
  }
}
