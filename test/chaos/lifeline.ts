/**
 * Whether onepull is there, as the harness makes it: shared with the clients' thread, so that a client which fails knows at
 * once whether onepull was taken away under its request. Odd while it is away; grows by one at each change, and changes
 * before onepull is touched and after it listens again, never in between.
 */
export class Lifeline {
  readonly memory: Int32Array;

  constructor(memory: Int32Array = new Int32Array(new SharedArrayBuffer(4))) {
    this.memory = memory;
  }

  get epoch(): number {
    return Atomics.load(this.memory, 0);
  }

  get isAway(): boolean {
    return this.epoch % 2 === 1;
  }

  change(): void {
    Atomics.add(this.memory, 0, 1);
  }

  /** Whether onepull was away at some moment since the epoch was read. */
  hasBrokenSince(epoch: number): boolean {
    return epoch % 2 === 1 || this.epoch !== epoch;
  }
}
