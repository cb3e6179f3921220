/** Blocks of memory between disk and sockets, in two sizes. */
export interface BufferPoolOptions {
  readonly largeBytes: number;
  /** How many large blocks may exist. Where all are lent, small ones are: nobody waits for a block (P3). */
  readonly maxLarge: number;
  readonly smallBytes: number;
  /** How many small blocks are kept for reuse. Those lent are bounded by the number of connections. */
  readonly keptSmall: number;
}

export const bufferPoolDefaults: BufferPoolOptions = {
  largeBytes: 256 * 1024,
  maxLarge: 128,
  smallBytes: 32 * 1024,
  keptSmall: 256,
};

/**
 * Lends blocks for the time between a read and the socket's having taken the bytes.
 *
 * Invariants: a block is lent to one borrower at a time; every `take` is followed by one `give` or one `drop`. `drop` is
 * for a block that a socket may still refer to: it is left to the garbage collector, because a block that is reused while
 * it is being sent would put one client's bytes into another client's response.
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

  /** A block for up to `wantedBytes`; it may be shorter. */
  take(wantedBytes: number): Buffer {
    const { largeBytes, smallBytes, maxLarge } = this.#options;
    if (wantedBytes > smallBytes && this.#lentLarge < maxLarge) {
      this.#lentLarge++;
      return this.#large.pop() ?? Buffer.allocUnsafeSlow(largeBytes);
    }
    this.#lentSmall++;
    return this.#small.pop() ?? Buffer.allocUnsafeSlow(smallBytes);
  }

  give(block: Buffer): void {
    const free = this.#return(block);
    if (free === this.#large || free.length < this.#options.keptSmall) free.push(block);
  }

  drop(block: Buffer): void {
    this.#return(block);
  }

  #return(block: Buffer): Buffer[] {
    if (block.length === this.#options.largeBytes) {
      this.#lentLarge--;
      return this.#large;
    }
    this.#lentSmall--;
    return this.#small;
  }
}
