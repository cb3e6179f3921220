/** What a block's state word says; from `claimedBy` on, it is that thread's number more. */
export const blockState = { free: 0, valid: 1, claimedBy: 2 } as const;

/** The words of a block's record: its state, its key, how many bytes it has, how often it was of use; then the pins. */
export const blockWord = { state: 0, idLow: 1, idHigh: 2, number: 3, bytes: 4, uses: 5, pins: 6 } as const;

/** The words at the beginning. */
const headWords = { blocks: 0, blockBytes: 1, threads: 2, count: 4 } as const;
/** Words of each thread: what it found in the cache, and what it did not. */
const countWords = 2;
/** Records of two blocks do not share a line of the processor's cache. */
const recordAlign = 16;
const dataAlign = 4096;

export interface BlockGeometry {
  readonly blocks: number;
  readonly blockBytes: number;
  /** How many threads may use it: each has a pin word in each block. */
  readonly threads: number;
}

/**
 * Where everything is in the one piece of shared memory: head, counters of threads, misses of sets, records of blocks, and
 * then the blocks.
 */
export class BlockLayout implements BlockGeometry {
  readonly blocks: number;
  readonly blockBytes: number;
  readonly threads: number;
  /** A block's place is one of a few: those of its set. */
  readonly ways: number;
  readonly sets: number;
  readonly totalBytes: number;
  readonly #records: number;
  readonly #recordWords: number;
  readonly #data: number;

  constructor({ blocks, blockBytes, threads }: BlockGeometry) {
    this.threads = threads;
    this.blockBytes = blockBytes;
    this.ways = Math.min(8, blocks);
    this.sets = this.ways === 0 ? 0 : Math.floor(blocks / this.ways);
    this.blocks = this.sets * this.ways;
    this.#recordWords = alignUp(blockWord.pins + threads, recordAlign);
    this.#records = alignUp(this.missesOf(this.sets), recordAlign);
    this.#data = alignUp(this.recordOf(this.blocks) * Int32Array.BYTES_PER_ELEMENT, dataAlign);
    this.totalBytes = this.#data + this.blocks * blockBytes;
  }

  /** The memory, empty. It takes room only as far as it is used. */
  allocate(): SharedArrayBuffer {
    const shared = new SharedArrayBuffer(this.totalBytes);
    const words = new Int32Array(shared, 0, headWords.count);
    words[headWords.blocks] = this.blocks;
    words[headWords.blockBytes] = this.blockBytes;
    words[headWords.threads] = this.threads;
    return shared;
  }

  /** How memory was laid out by `allocate`. */
  static of(shared: SharedArrayBuffer): BlockLayout {
    const words = new Int32Array(shared, 0, headWords.count);
    const word = (index: number) => words[index] ?? 0;
    const [blocks, blockBytes] = [word(headWords.blocks), word(headWords.blockBytes)];
    return new BlockLayout({ blocks, blockBytes, threads: word(headWords.threads) });
  }

  /** All words before the blocks. */
  words(shared: SharedArrayBuffer): Int32Array {
    return new Int32Array(shared, 0, this.recordOf(this.blocks));
  }

  block(shared: SharedArrayBuffer, slot: number): Buffer {
    return Buffer.from(shared, this.#data + slot * this.blockBytes, this.blockBytes);
  }

  hitsOf(thread: number): number {
    return headWords.count + thread * countWords;
  }

  missesOf(set: number): number {
    return headWords.count + this.threads * countWords + set;
  }

  recordOf(slot: number): number {
    return this.#records + slot * this.#recordWords;
  }

  /** Blocks that follow each other have sets that do: a file that fits finds room for all of it. */
  setOf(fileId: number, number: number): number {
    return ((fileId % 0x1_0000_0000) * 7919 + number) % this.sets;
  }
}

function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
