import { read } from 'node:fs';
import { noBlock, type SharedBlocks } from './shared-blocks.ts';

/** Undefined: it could not be read. */
type Done = (block: PinnedBlock | undefined) => void;

/** Of the blocks that there are for each thread, so many may be pinned for clients who are not known to be quick. */
const untriedPart = 1 / 4;
/** Less is not worth a block. */
const leastBytes = 128 * 1024;

/** A block that answers of this thread refer to: it stays as it is until each has released it. */
export class PinnedBlock {
  /** Where in the file it begins. Valid, as its bytes are, while it is pinned. */
  start = 0;
  length = 0;
  users = 0;
  readonly #bytes: Buffer;
  readonly #unpin: () => void;

  constructor(bytes: Buffer, unpin: () => void) {
    this.#bytes = bytes;
    this.#unpin = unpin;
  }

  /** Up to `mostBytes` of the file from `offset` on. */
  from(offset: number, mostBytes: number): Uint8Array {
    const from = offset - this.start;
    const to = Math.min(this.length, from + mostBytes);
    return from === 0 && to === this.#bytes.length ? this.#bytes : this.#bytes.subarray(from, to);
  }

  release(): void {
    this.users--;
    this.#unpin();
  }
}

/**
 * Blocks of files for the answers of one thread: from shared memory, or read into it.
 *
 * Invariants
 * - A block is read by one of this thread's answers and had by all of them that want it meanwhile. The one that reads keeps
 *   its file open until its callback has run. What another thread is reading is not waited for, as that thread may stand
 *   still: the caller reads for itself, which costs one copy, once.
 * - `read` calls back exactly once, later, if it returned true, else never.
 * - A client that is not known to be quick may stop taking for minutes what it was handed. It is given a block only if this
 *   thread refers to that one already, or to few: so whatever slow clients do, three quarters of the blocks stay for others.
 */
export class BlockReads {
  readonly blockBytes: number;
  readonly #blocks: SharedBlocks;
  readonly #pinned: PinnedBlock[] = [];
  readonly #waiting: (Done[] | undefined)[] = [];
  readonly #mostUntried: number;
  /** Blocks that this thread refers to. */
  #inUse = 0;

  constructor(blocks: SharedBlocks) {
    this.#blocks = blocks;
    this.blockBytes = blocks.blockBytes;
    this.#mostUntried = Math.ceil((blocks.layout.blocks / blocks.layout.threads) * untriedPart);
    for (let slot = 0; slot < blocks.layout.blocks; slot++) {
      const pinned: PinnedBlock = new PinnedBlock(blocks.block(slot), () => {
        blocks.unpin(slot);
        if (pinned.users === 0) this.#inUse--;
      });
      this.#pinned.push(pinned);
      this.#waiting.push(undefined);
    }
  }

  /** Blocks that answers of this thread refer to. */
  get inUse(): number {
    return this.#inUse;
  }

  /** The block with the byte at `offset`, if it is there. `isQuick`: the client is known to take what it is handed. */
  find(fileId: number, offset: number, isQuick: boolean): PinnedBlock | undefined {
    const number = Math.floor(offset / this.blockBytes);
    const slot = this.#blocks.pin(fileId, number);
    const pinned = this.#pinned[slot];
    if (pinned === undefined) return undefined;
    if (pinned.users === 0 && !this.#mayPin(isQuick)) {
      this.#blocks.unpin(slot);
      return undefined;
    }
    this.#use(slot, pinned, number);
    return pinned;
  }

  /**
   * Reads the block with the byte at `offset`, which has so many `bytes`, all of which are there. Returns false where there
   * is no place for it, or it is too small for one.
   */
  read(fd: number, fileId: number, offset: number, bytes: number, isQuick: boolean, done: Done): boolean {
    if (bytes < leastBytes) return false;
    const number = Math.floor(offset / this.blockBytes);
    const joined = this.#waiting[this.#blocks.claimed(fileId, number)];
    if (joined !== undefined) {
      joined.push(done);
      return true;
    }
    if (!this.#mayPin(isQuick)) return false;
    const slot = this.#blocks.claim(fileId, number);
    if (slot === noBlock) return false;
    this.#waiting[slot] = [done];
    read(fd, this.#blocks.block(slot), 0, bytes, number * this.blockBytes, (error, bytesRead) =>
      this.#onRead(slot, number, bytes, error === null && bytesRead === bytes),
    );
    return true;
  }

  #mayPin(isQuick: boolean): boolean {
    return isQuick || this.#inUse < this.#mostUntried;
  }

  #onRead(slot: number, number: number, bytes: number, isThere: boolean): void {
    const waiting = this.#waiting[slot] ?? [];
    this.#waiting[slot] = undefined;
    const pinned = isThere ? this.#pinned[slot] : undefined;
    if (pinned === undefined) {
      this.#blocks.abandon(slot);
      for (const done of waiting) done(undefined);
      return;
    }
    this.#blocks.publish(slot, bytes);
    for (let user = 0; user < waiting.length; user++) {
      if (user > 0) this.#blocks.pinAgain(slot);
      this.#use(slot, pinned, number);
    }
    for (const done of waiting) done(pinned);
  }

  #use(slot: number, pinned: PinnedBlock, number: number): void {
    pinned.start = number * this.blockBytes;
    pinned.length = this.#blocks.bytesIn(slot);
    if (pinned.users++ === 0) this.#inUse++;
  }
}
