/** Blocks of memory between disk and sockets, in two sizes. */
export interface BufferPoolOptions {
  readonly largeBytes: number;
  /** How many large blocks may exist. Where all are lent, small ones are: nobody waits for a block (P3). */
  readonly maxLarge: number;
  readonly smallBytes: number;
  /** How many small blocks are kept for reuse. Those lent are bounded by what may be queued, and by the number of answers. */
  readonly keptSmall: number;
  /** Beyond so many bytes, lent and kept, none are kept. */
  readonly mostBytes: number;
}

const sizes = { largeBytes: 256 * 1024, smallBytes: 32 * 1024 } as const;

/** A pool for answers that may have `mostBytes` queued: a quarter in large blocks, and as much is kept for reuse. */
export function bufferPoolOptions(mostBytes: number): BufferPoolOptions {
  const quarter = mostBytes / 4;
  const maxLarge = Math.floor(quarter / sizes.largeBytes);
  return { ...sizes, maxLarge, keptSmall: Math.floor(quarter / sizes.smallBytes), mostBytes };
}

export const bufferPoolDefaults: BufferPoolOptions = bufferPoolOptions(64 * 1024 * 1024);

/**
 * Lends blocks for the time between a read and the socket's having taken the bytes.
 *
 * Invariants: a block is lent to one borrower at a time, and every `take` is followed by one `give`, when no socket refers
 * to the block any more: a block that is reused while it is being sent would put one client's bytes into another's answer.
 */
export class BufferPool {
  readonly #options: BufferPoolOptions;
  readonly #large: Buffer[] = [];
  readonly #small: Buffer[] = [];
  #lentLarge = 0;
  #lentSmall = 0;

  constructor(options: BufferPoolOptions = bufferPoolDefaults) {
    this.#options = options;
  }

  /** Blocks that are out. */
  get lent(): number {
    return this.#lentLarge + this.#lentSmall;
  }

  /** The memory of these. */
  get lentBytes(): number {
    return this.#lentLarge * this.#options.largeBytes + this.#lentSmall * this.#options.smallBytes;
  }

  /** The memory of those that are kept for reuse. */
  get keptBytes(): number {
    return this.#large.length * this.#options.largeBytes + this.#small.length * this.#options.smallBytes;
  }

  /** A block for up to `wantedBytes`; it may be shorter. */
  take(wantedBytes: number): Buffer {
    const { largeBytes, smallBytes, maxLarge } = this.#options;
    if (wantedBytes > smallBytes && this.#lentLarge < maxLarge) {
      this.#lentLarge++;
      return this.#large.pop() ?? this.#allocate(largeBytes);
    }
    this.#lentSmall++;
    return this.#small.pop() ?? this.#allocate(smallBytes);
  }

  give(block: Buffer): void {
    const { largeBytes, keptSmall, mostBytes } = this.#options;
    const isLarge = block.length === largeBytes;
    if (isLarge) this.#lentLarge--;
    else this.#lentSmall--;
    if (this.lentBytes + this.keptBytes + block.length > mostBytes) return;
    if (isLarge) this.#large.push(block);
    else if (this.#small.length < keptSmall) this.#small.push(block);
  }

  #allocate(bytes: number): Buffer {
    if (this.lentBytes + this.keptBytes > this.#options.mostBytes) {
      this.#large.length = 0;
      this.#small.length = 0;
    }
    return Buffer.allocUnsafeSlow(bytes);
  }
}
