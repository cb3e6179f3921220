import { BlockLayout, blockState, blockWord } from './block-layout.ts';

const { free, valid, claimedBy } = blockState;

/** No block. */
export const noBlock = -1;
/** What a free block is worth: less than any that holds something. */
const unused = -1;
/** Uses that count; more are as good as so many. */
const mostUses = 3;

export interface BlockCounts {
  /** Memory of blocks that hold something. */
  readonly usedBytes: number;
  /** Of these, what answers refer to now: each block once, however many do. */
  readonly pinnedBytes: number;
  readonly hits: number;
  readonly misses: number;
}

/**
 * Blocks of files in memory that all gateways share, each in its own thread. Nobody waits for anybody: whoever does not get
 * a block reads for itself.
 *
 * Invariants
 * - A block is free, valid, or claimed by one thread: it goes from free or valid to claimed by compare-and-exchange, and
 *   only the thread that claimed it changes it any further. Its key and bytes are written only by that thread, only while
 *   it is claimed, and only after that thread has seen each of its pin words at 0 since it claimed it.
 * - A thread's pin word is written by that thread only: how many of its answers refer to the block.
 * - No reader ever sees a pinned block change. `pin` first adds to its pin word (1), then finds the block valid (2), then
 *   looks at its key. Let somebody claim it. If that comes after (2), its look at the pins comes after (1): it sees the pin
 *   and puts the block back as it was. If it comes before (2), its claim was over before (2), or the block were not valid
 *   there; what it wrote is complete, and the key that is looked at afterwards is what the bytes are of. Atomics have one
 *   order for all threads, so there is no third case; and what happens to the block before (1) is of no interest. A key that
 *   is seen without a pin, or in a block that is not valid, decides nothing.
 * - Two valid blocks may have the same key, where two threads read at the same moment: then they hold the same bytes.
 * - A thread that has died changes nothing any more: its environment has waited for its reads of files and closed its
 *   sockets before its end is told. Only then may `threadEnded` take its pins and claims from it, and a successor start. A
 *   claimed block becomes free, though others may have pinned it before: so pins are looked at after every claim.
 */
export class SharedBlocks {
  readonly shared: SharedArrayBuffer;
  readonly blockBytes: number;
  readonly layout: BlockLayout;
  readonly #words: Int32Array;
  readonly #thread: number;
  readonly #random: () => number;
  readonly #blocks: Buffer[] = [];

  /** `shared`: from `BlockLayout.allocate`. Each thread has a number of its own. */
  constructor(shared: SharedArrayBuffer, thread: number, random: () => number) {
    this.shared = shared;
    this.layout = BlockLayout.of(shared);
    if (thread < 0 || thread >= this.layout.threads) throw new RangeError(`no thread has the number ${thread}`);
    this.blockBytes = this.layout.blockBytes;
    this.#words = this.layout.words(shared);
    this.#thread = thread;
    this.#random = random;
    for (let slot = 0; slot < this.layout.blocks; slot++) this.#blocks.push(this.layout.block(shared, slot));
  }

  /** The memory of a slot: to be read while it is pinned, and written while it is claimed. */
  block(slot: number): Buffer {
    const block = this.#blocks[slot];
    if (block === undefined) throw new RangeError(`there is no block ${slot}`);
    return block;
  }

  /** How many bytes a pinned block has. */
  bytesIn(slot: number): number {
    return Atomics.load(this.#words, this.layout.recordOf(slot) + blockWord.bytes);
  }

  /** The slot that has the block, pinned: it stays as it is until `unpin`. Or `noBlock`. */
  pin(fileId: number, number: number): number {
    const words = this.#words;
    const { layout } = this;
    if (layout.sets === 0) return noBlock;
    const first = layout.setOf(fileId, number) * layout.ways;
    for (let slot = first; slot < first + layout.ways; slot++) {
      const record = layout.recordOf(slot);
      if (Atomics.load(words, record) !== valid || !this.#hasKey(record, fileId, number)) continue;
      const pins = record + blockWord.pins + this.#thread;
      Atomics.add(words, pins, 1);
      if (Atomics.load(words, record) === valid && this.#hasKey(record, fileId, number)) {
        const uses = Atomics.load(words, record + blockWord.uses);
        if (uses < mostUses) Atomics.store(words, record + blockWord.uses, uses + 1);
        Atomics.add(words, layout.hitsOf(this.#thread), 1);
        return slot;
      }
      Atomics.sub(words, pins, 1);
    }
    return noBlock;
  }

  /** Pins once more what this thread has pinned. */
  pinAgain(slot: number): void {
    Atomics.add(this.#words, this.layout.recordOf(slot) + blockWord.pins + this.#thread, 1);
  }

  unpin(slot: number): void {
    Atomics.sub(this.#words, this.layout.recordOf(slot) + blockWord.pins + this.#thread, 1);
  }

  /** The slot that this thread has claimed for the block, if it has. */
  claimed(fileId: number, number: number): number {
    return this.#find(fileId, number, (state) => state === claimedBy + this.#thread);
  }

  /**
   * A slot to be filled with the block: until `publish` or `abandon` it is this thread's alone. `noBlock` where each is in
   * use, or another thread is filling one with it.
   */
  claim(fileId: number, number: number): number {
    const { layout } = this;
    if (layout.sets === 0) return noBlock;
    Atomics.add(this.#words, layout.hitsOf(this.#thread) + 1, 1);
    if (this.#find(fileId, number, (state) => state >= claimedBy) !== noBlock) return noBlock;
    const set = layout.setOf(fileId, number);
    // Uses of long ago fade with as many misses as the set has blocks.
    if (Atomics.add(this.#words, layout.missesOf(set), 1) % layout.ways === 0) this.#age(set);
    for (let uses = unused; uses <= mostUses; uses++) {
      const slot = this.#claimOf(set, uses);
      if (slot === noBlock) continue;
      const record = layout.recordOf(slot);
      Atomics.store(this.#words, record + blockWord.idLow, fileId | 0);
      Atomics.store(this.#words, record + blockWord.idHigh, Math.floor(fileId / 0x1_0000_0000));
      Atomics.store(this.#words, record + blockWord.number, number);
      Atomics.store(this.#words, record + blockWord.uses, 0);
      return slot;
    }
    return noBlock;
  }

  /** The claimed block is there, with so many bytes; and pinned, once. */
  publish(slot: number, bytes: number): void {
    const record = this.layout.recordOf(slot);
    Atomics.store(this.#words, record + blockWord.bytes, bytes);
    Atomics.add(this.#words, record + blockWord.pins + this.#thread, 1);
    Atomics.store(this.#words, record, valid);
  }

  /** The claimed block could not be filled. */
  abandon(slot: number): void {
    Atomics.store(this.#words, this.layout.recordOf(slot), free);
  }

  /** Takes everything from a thread that has ended, before its successor starts. For whoever saw it end. */
  threadEnded(thread: number): void {
    for (let slot = 0; slot < this.layout.blocks; slot++) {
      const record = this.layout.recordOf(slot);
      Atomics.store(this.#words, record + blockWord.pins + thread, 0);
      Atomics.compareExchange(this.#words, record, claimedBy + thread, free);
    }
  }

  /** Hits and misses of all threads, modulo 2^32. */
  counts(): BlockCounts {
    const { layout } = this;
    const counts = { usedBytes: 0, pinnedBytes: 0, hits: 0, misses: 0 };
    for (let thread = 0; thread < layout.threads; thread++) {
      counts.hits += Atomics.load(this.#words, layout.hitsOf(thread)) >>> 0;
      counts.misses += Atomics.load(this.#words, layout.hitsOf(thread) + 1) >>> 0;
    }
    for (let slot = 0; slot < layout.blocks; slot++) {
      const record = layout.recordOf(slot);
      if (Atomics.load(this.#words, record) === free) continue;
      counts.usedBytes += layout.blockBytes;
      if (this.#isPinned(record)) counts.pinnedBytes += layout.blockBytes;
    }
    return counts;
  }

  /** Claims one of the set's blocks that nobody refers to and that was of use so often; any of them, as likely as another. */
  #claimOf(set: number, uses: number): number {
    const words = this.#words;
    const { layout } = this;
    const turn = Math.floor(this.#random() * layout.ways);
    for (let way = 0; way < layout.ways; way++) {
      const slot = set * layout.ways + ((turn + way) % layout.ways);
      const record = layout.recordOf(slot);
      const state = Atomics.load(words, record);
      if (state >= claimedBy || (state === valid && Atomics.load(words, record + blockWord.uses) > uses)) continue;
      // Seen pinned it need not be claimed to learn it; only what is seen after the claim counts.
      if (this.#isPinned(record)) continue;
      if (Atomics.compareExchange(words, record, state, claimedBy + this.#thread) !== state) continue;
      if (!this.#isPinned(record)) return slot;
      Atomics.store(words, record, state);
    }
    return noBlock;
  }

  #isPinned(record: number): boolean {
    for (let thread = 0; thread < this.layout.threads; thread++) {
      if (Atomics.load(this.#words, record + blockWord.pins + thread) !== 0) return true;
    }
    return false;
  }

  #age(set: number): void {
    const { ways } = this.layout;
    for (let slot = set * ways; slot < (set + 1) * ways; slot++) {
      const word = this.layout.recordOf(slot) + blockWord.uses;
      const uses = Atomics.load(this.#words, word);
      if (uses > 0) Atomics.store(this.#words, word, uses - 1);
    }
  }

  #find(fileId: number, number: number, isWanted: (state: number) => boolean): number {
    const { layout } = this;
    if (layout.sets === 0) return noBlock;
    const first = layout.setOf(fileId, number) * layout.ways;
    for (let slot = first; slot < first + layout.ways; slot++) {
      const record = layout.recordOf(slot);
      if (isWanted(Atomics.load(this.#words, record)) && this.#hasKey(record, fileId, number)) return slot;
    }
    return noBlock;
  }

  #hasKey(record: number, fileId: number, number: number): boolean {
    const words = this.#words;
    return (
      Atomics.load(words, record + blockWord.number) === number &&
      Atomics.load(words, record + blockWord.idLow) === (fileId | 0) &&
      Atomics.load(words, record + blockWord.idHigh) === Math.floor(fileId / 0x1_0000_0000)
    );
  }
}
