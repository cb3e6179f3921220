import { read } from 'node:fs';
import type { BlobWindow } from '../pull/depot.ts';
import type { BufferPool } from './buffer-pool.ts';

/** Bytes of a blob, lent to everybody who asked for them at the same time. */
export class LentBlock {
  readonly bytes: Uint8Array;
  readonly #buffer: Buffer;
  readonly #pool: BufferPool;
  #users: number;

  constructor(pool: BufferPool, buffer: Buffer, bytes: number, users: number) {
    this.bytes = bytes === buffer.length ? buffer : buffer.subarray(0, bytes);
    this.#pool = pool;
    this.#buffer = buffer;
    this.#users = users;
  }

  /** This user is done with it, and so is the socket that it was handed to. */
  release(): void {
    if (--this.#users === 0) this.#pool.give(this.#buffer);
  }
}

type Done = (error: Error | null, block: LentBlock | undefined) => void;

/** File descriptors and offsets up to here have a number of their own as a key. */
const maxKeyedFd = 2 ** 13;
const offsetsPerFd = 2 ** 40;

/**
 * Reads blocks of files. The followers of a fill all wait for the same bytes and wake in the same turn: they share one
 * read and one block, however many they are.
 *
 * Invariants: only a read under way is shared, and whoever takes part holds the descriptor open until its callback has
 * run, so that a descriptor cannot mean another file meanwhile. Nobody gets bytes beyond what it asked for. A block goes
 * back to the pool when its last user has released it. Callbacks never run before `read` has returned.
 */
export class SharedReads {
  readonly #pool: BufferPool;
  readonly #underway = new Map<number, { readonly bytes: number; readonly waiting: Done[] }>();

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** Up to `maxBytes` of what a window has at `offset`, at once: it goes on, the block stays as it is. */
  copy(window: BlobWindow, offset: number, maxBytes: number): LentBlock {
    const buffer = this.#pool.take(maxBytes);
    const into = maxBytes < buffer.length ? buffer.subarray(0, maxBytes) : buffer;
    try {
      return new LentBlock(this.#pool, buffer, window.read(offset, into), 1);
    } catch (error) {
      this.#pool.give(buffer);
      throw error;
    }
  }

  /** Reads up to `maxBytes` at `offset`, perhaps fewer. An empty block: the file ends there. */
  read(fd: number, offset: number, maxBytes: number, done: Done): void {
    const key = fd < maxKeyedFd && offset < offsetsPerFd ? fd * offsetsPerFd + offset : -1;
    const running = this.#underway.get(key);
    if (running !== undefined && running.bytes <= maxBytes) {
      running.waiting.push(done);
      return;
    }
    const buffer = this.#pool.take(maxBytes);
    const bytes = Math.min(maxBytes, buffer.length);
    const waiting = [done];
    if (key >= 0 && running === undefined) this.#underway.set(key, { bytes, waiting });
    read(fd, buffer, 0, bytes, offset, (error, bytesRead) => {
      if (this.#underway.get(key)?.waiting === waiting) this.#underway.delete(key);
      if (error !== null) this.#pool.give(buffer);
      const block = error === null ? new LentBlock(this.#pool, buffer, bytesRead, waiting.length) : undefined;
      for (const one of waiting) one(error, block);
    });
  }
}
