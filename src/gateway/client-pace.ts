/**
 * How quickly a client takes what it is sent: `new` while little is known, `quick` once it has taken more than the kernels
 * on the way can hold, `slow` from a block that it took long for until it is quick again.
 */
export type Pace = 'new' | 'quick' | 'slow';

/**
 * So long may any block take, and as much longer as bytes go at this rate: beyond it the client was slow. Of one that was
 * not, a moment of ours in which nothing went on is not held against it.
 */
const graceMs = { new: 100, quick: 100, slow: 20 } as const;
const quickBytesPerMs = 4 * 1024;
/** Kernels take some megabytes for a client that takes nothing: less than this says little about it. */
const provenBytes = 4 * 1024 * 1024;

/** What is known of one client's pace, from block to block, and from answer to answer on its connection. */
export class ClientPace {
  #pace: Pace = 'new';
  #quickBytes = 0;

  get pace(): Pace {
    return this.#pace;
  }

  /** Whether it has taken anything. */
  get isUntried(): boolean {
    return this.#pace === 'new' && this.#quickBytes === 0;
  }

  took(bytes: number, durationMs: number): void {
    if (durationMs >= graceMs[this.#pace] + bytes / quickBytesPerMs) {
      this.#pace = 'slow';
      this.#quickBytes = 0;
      return;
    }
    this.#quickBytes += bytes;
    if (this.#quickBytes >= provenBytes) this.#pace = 'quick';
  }
}
