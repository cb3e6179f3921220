import type { Interval } from './byte-range.ts';

/** Words: the version, the flags, the number of intervals. */
const version = 0;
const flags = 1;
const count = 2;
const wordBytes = 16;

const verifiedFlag = 1;
const overFlag = 2;
const cutFlag = 4;

/** Numbers: the end of what may be handed out, then start and end of each interval. */
const heldFrom = 0;
const firstInterval = 1;
/** More are left out, those furthest from the beginning: a fill has a handful, unless it is read in bits all over. */
const maxIntervals = 64;
const sharedBytes = wordBytes + (firstInterval + 2 * maxIntervals) * Float64Array.BYTES_PER_ELEMENT;

/** What a mark says. */
export interface FillState {
  readonly filled: readonly Interval[];
  /** Bytes from here on are held back while the whole is not verified. */
  readonly heldFrom: number;
  readonly verified: boolean;
}

/**
 * How far a body's bytes may be read, in shared memory: readers in other threads look at it, and sleep on it, without a
 * message from the thread that fills.
 *
 * Invariants: one thread writes, with `write` and `end`. The version is odd while it does; a reader that sees it odd, or
 * another one afterwards, looks again, so what it takes was true at one moment. Once over or verified it stays so. That it
 * is over says that its bytes will not become more and may never be verified: who follows it asks what to do instead. So
 * does who waits where the mark says nothing (`isSilentAt`): what is there is not all listed.
 */
export class FillMark {
  /** For a `FillMark` in another thread. */
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(sharedBytes)) {
    this.shared = shared;
    this.#words = new Int32Array(shared, 0, wordBytes / Int32Array.BYTES_PER_ELEMENT);
    this.#numbers = new Float64Array(shared, wordBytes);
  }

  /** Notes the state and wakes whoever sleeps. */
  write(state: FillState): void {
    const words = this.#words;
    const over = Atomics.load(words, flags) & overFlag;
    const listed = Math.min(state.filled.length, maxIntervals);
    Atomics.add(words, version, 1);
    this.#numbers[heldFrom] = state.heldFrom;
    for (let index = 0; index < listed; index++) {
      const interval = state.filled[index];
      this.#numbers[firstInterval + 2 * index] = interval?.start ?? 0;
      this.#numbers[firstInterval + 2 * index + 1] = interval?.end ?? 0;
    }
    Atomics.store(words, count, listed);
    const cut = listed < state.filled.length ? cutFlag : 0;
    Atomics.store(words, flags, over | cut | (state.verified ? verifiedFlag : 0));
    this.#written();
  }

  /** Says that it is over, and wakes whoever sleeps. */
  end(): void {
    const words = this.#words;
    Atomics.add(words, version, 1);
    Atomics.store(words, flags, Atomics.load(words, flags) | overFlag);
    this.#written();
  }

  #written(): void {
    Atomics.add(this.#words, version, 1);
    Atomics.notify(this.#words, version);
  }

  /** Bytes from `offset` up to here may be read now; `offset` itself where its byte is missing or held back. */
  readableTo(offset: number): number {
    for (;;) {
      const seen = Atomics.load(this.#words, version);
      if (seen % 2 !== 0) continue;
      const readable = this.#readableTo(offset);
      if (Atomics.load(this.#words, version) === seen) return readable;
    }
  }

  /** Whether it does not say if the byte at `offset` is there: it lies beyond all that there is a place for. */
  isSilentAt(offset: number): boolean {
    for (;;) {
      const seen = Atomics.load(this.#words, version);
      if (seen % 2 !== 0) continue;
      const isCut = (Atomics.load(this.#words, flags) & cutFlag) !== 0;
      const isSilent = isCut && offset >= (this.#numbers[firstInterval + 2 * maxIntervals - 1] ?? 0);
      if (Atomics.load(this.#words, version) === seen) return isSilent;
    }
  }

  get isVerified(): boolean {
    return (Atomics.load(this.#words, flags) & verifiedFlag) !== 0;
  }

  get isOver(): boolean {
    return (Atomics.load(this.#words, flags) & overFlag) !== 0;
  }

  /** What `changed` is to be given: from before one has looked. */
  get version(): number {
    return Atomics.load(this.#words, version);
  }

  /** Resolves when the mark is another than at `seen`; at once (undefined) where it is by now. */
  changed(seen: number): Promise<unknown> | undefined {
    const wait = Atomics.waitAsync(this.#words, version, seen);
    return wait.async ? wait.value : undefined;
  }

  #readableTo(offset: number): number {
    const numbers = this.#numbers;
    const listed = Atomics.load(this.#words, count);
    for (let index = 0; index < listed; index++) {
      const start = numbers[firstInterval + 2 * index] ?? 0;
      const end = numbers[firstInterval + 2 * index + 1] ?? 0;
      if (start > offset) break;
      if (offset < end) return this.isVerified ? end : Math.max(offset, Math.min(end, numbers[heldFrom] ?? 0));
    }
    return offset;
  }
}
