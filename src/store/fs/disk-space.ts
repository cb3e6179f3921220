import { statfs } from 'node:fs/promises';
import type { Clock } from '../../core/clock.ts';

export interface DiskSpaceDeps {
  readonly clock: Clock;
  /** What the store takes of the disk. */
  readonly usageBytes: () => number;
}

interface Sample {
  readonly atMs: number;
  readonly freeBytes: number;
  readonly usageBytes: number;
}

const staleAfterMs = 1000;

/**
 * How much of the disk is free for us. The system is asked once a second at most; between, what the store itself took or
 * gave back is reckoned with, so only what others do to the disk is known late.
 */
export class DiskSpace {
  readonly #deps: DiskSpaceDeps;
  readonly #path: string;
  #sample: Sample | undefined;
  #asking: Promise<void> | undefined;

  constructor(deps: DiskSpaceDeps, path: string) {
    this.#deps = deps;
    this.#path = path;
  }

  /** Free bytes as far as is known without asking; undefined where nothing is. */
  get lastFreeBytes(): number | undefined {
    if (this.#sample === undefined) return undefined;
    const { freeBytes, usageBytes } = this.#sample;
    return Math.max(0, freeBytes - (this.#deps.usageBytes() - usageBytes));
  }

  /** Undefined where the system does not say: then nothing is known to be in the way. Never rejects. */
  async freeBytes(): Promise<number | undefined> {
    const isFresh = this.#sample !== undefined && this.#deps.clock.monotonic() - this.#sample.atMs < staleAfterMs;
    if (!isFresh) await this.#ask();
    return this.lastFreeBytes;
  }

  /** Asks the system now. */
  async freeBytesNow(): Promise<number | undefined> {
    // One that is under way may have looked before what the caller knows of.
    await this.#asking;
    await this.#ask();
    return this.lastFreeBytes;
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#look().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #look(): Promise<void> {
    const { clock, usageBytes: usage } = this.#deps;
    const [atMs, usageBytes] = [clock.monotonic(), usage()];
    try {
      const { bavail, bsize } = await statfs(this.#path);
      this.#sample = { atMs, freeBytes: bavail * bsize, usageBytes };
    } catch {
      this.#sample = undefined;
    }
  }
}
