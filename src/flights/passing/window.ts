/** Blocks of a window; what is lost of its capacity when one is dropped. */
const blocksPerWindow = 64;
const largestBlockBytes = 256 * 1024;

/**
 * The last bytes of a transfer, in memory: appended at its end, dropped at its start once it is full.
 *
 * Invariants: it holds at most `capacityBytes`, in blocks that are made when they are needed; the one that is dropped takes
 * the next bytes. So what `at` gives is good in the same turn only: whoever needs it longer copies it.
 */
export class Window {
  readonly capacityBytes: number;
  readonly #blockBytes: number;
  readonly #maxBlocks: number;
  readonly #blocks: Uint8Array[] = [];
  #start: number;
  #end: number;

  /** The capacity of a window that holds `bytes` without a byte being dropped. */
  static capacityFor(bytes: number): number {
    const grainBytes = bytes <= blocksPerWindow * largestBlockBytes ? blocksPerWindow : largestBlockBytes;
    return Math.ceil(bytes / grainBytes) * grainBytes;
  }

  constructor(start: number, capacityBytes: number) {
    this.#start = start;
    this.#end = start;
    this.#blockBytes = Math.max(1, Math.min(largestBlockBytes, Math.ceil(capacityBytes / blocksPerWindow)));
    this.#maxBlocks = Math.floor(capacityBytes / this.#blockBytes);
    this.capacityBytes = this.#maxBlocks * this.#blockBytes;
  }

  /** The first byte that is here. */
  get start(): number {
    return this.#start;
  }

  /** The byte after the last one that is here. */
  get end(): number {
    return this.#end;
  }

  /** So much may be ahead of a reader without its next byte being dropped. */
  get keptBytes(): number {
    return this.capacityBytes - this.#blockBytes;
  }

  /** Whether `offset` is here, or the next to come. */
  reaches(offset: number): boolean {
    return offset >= this.#start && offset <= this.#end;
  }

  /** Returns whether bytes were dropped for it. */
  append(bytes: Uint8Array): boolean {
    const startBefore = this.#start;
    for (let from = 0; from < bytes.length; ) {
      const [block, used] = this.#lastBlock();
      const part = bytes.subarray(from, from + this.#blockBytes - used);
      block.set(part, used);
      from += part.length;
      this.#end += part.length;
    }
    return this.#start !== startBefore;
  }

  /** Some of the bytes from `offset` on: at least one, at most `maxBytes`. Only of what is here; in this turn. */
  at(offset: number, maxBytes: number): Uint8Array {
    const from = offset - this.#start;
    const block = this.#blocks[Math.floor(from / this.#blockBytes)];
    if (block === undefined || offset >= this.#end) throw new RangeError(`byte ${offset} is not in the window`);
    const inBlock = from % this.#blockBytes;
    return block.subarray(inBlock, inBlock + Math.min(maxBytes, this.#end - offset));
  }

  /** The block that the next byte goes to, and how much of it is used. */
  #lastBlock(): [Uint8Array, number] {
    const used = (this.#end - this.#start) % this.#blockBytes;
    const last = this.#blocks.at(-1);
    if (last !== undefined && used > 0) return [last, used];
    const dropped = this.#blocks.length === this.#maxBlocks ? this.#blocks.shift() : undefined;
    if (dropped !== undefined) this.#start += this.#blockBytes;
    const block = dropped ?? Buffer.allocUnsafeSlow(this.#blockBytes);
    this.#blocks.push(block);
    return [block, 0];
  }
}
