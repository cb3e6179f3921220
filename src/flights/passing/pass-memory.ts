export interface PassMemoryOptions {
  /** All that passes may hold together. 0: nothing is passed. */
  readonly totalBytes: number;
  /** What one pass gets at most, and what it cannot do without. */
  readonly windowBytes: number;
  readonly leastWindowBytes: number;
}

interface Request {
  readonly wantedBytes: number;
  readonly granted: (bytes: number) => void;
}

/** What is free is shared with those who are still to come: a pass gets this part of it, as long as that is enough. */
const shareOfFree = 1 / 4;
/** Kept for readers in the middle of a body that need a pass of their own: better refuse a new one than cut those. */
const shareForMovers = 1 / 8;

/**
 * The memory of all passes (P8).
 *
 * Invariants: what is granted and not given back never exceeds `totalBytes`. Requests that wait are granted in the order
 * in which they came, before anybody new.
 */
export class PassMemory {
  readonly #options: PassMemoryOptions;
  readonly #waiting = new Set<Request>();
  #grantedBytes = 0;

  constructor(options: PassMemoryOptions) {
    this.#options = options;
  }

  /** Whether anything can be passed at all. */
  get isOn(): boolean {
    return this.#options.totalBytes >= this.#options.leastWindowBytes;
  }

  get grantedBytes(): number {
    return this.#grantedBytes;
  }

  /** Memory for a new pass that could use `wantedBytes`, or undefined where it does not fit. */
  take(wantedBytes: number): number | undefined {
    const { totalBytes, leastWindowBytes } = this.#options;
    // Where there is no room for two, keeping some for movers would mean that nothing is ever passed.
    const kept = totalBytes < 2 * leastWindowBytes ? 0 : totalBytes * shareForMovers;
    return this.#waiting.size > 0 ? undefined : this.#grant(wantedBytes, totalBytes - kept);
  }

  /** Memory for a reader in the middle of a body: at once, or when there is some. Returns how to withdraw. */
  request(wantedBytes: number, granted: (bytes: number) => void): () => void {
    const bytes = this.#waiting.size > 0 ? undefined : this.#grant(wantedBytes, this.#options.totalBytes);
    if (bytes !== undefined) {
      granted(bytes);
      return () => {};
    }
    const request = { wantedBytes, granted };
    this.#waiting.add(request);
    return () => {
      this.#waiting.delete(request);
      this.#grantWaiting();
    };
  }

  giveBack(bytes: number): void {
    this.#grantedBytes -= bytes;
    this.#grantWaiting();
  }

  #grantWaiting(): void {
    for (const request of this.#waiting) {
      const bytes = this.#grant(request.wantedBytes, this.#options.totalBytes);
      if (bytes === undefined) return;
      this.#waiting.delete(request);
      request.granted(bytes);
    }
  }

  #grant(wantedBytes: number, limitBytes: number): number | undefined {
    const { windowBytes, leastWindowBytes } = this.#options;
    const freeBytes = Math.floor(limitBytes - this.#grantedBytes);
    const most = Math.min(windowBytes, wantedBytes);
    const bytes = Math.min(most, Math.max(leastWindowBytes, Math.floor(freeBytes * shareOfFree)));
    if (bytes > freeBytes) return undefined;
    this.#grantedBytes += bytes;
    return bytes;
  }
}
