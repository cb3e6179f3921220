import type { Clock, Timer } from '../core/clock.ts';
import type { FillBody } from './fill-body.ts';

const everyMs = 500;
const everyBytes = 16 * 1024 * 1024;
/** What is less is not worth a file: hundreds of slow fills would write one each, all the time. */
const littleBytes = 64 * 1024;
/** But it does not wait for longer. */
const longestMs = 5000;

/**
 * Notes now and then which bytes of a body are on disk, so that a later process can go on (P5).
 *
 * Invariants: one record is written at a time; a feed that starts somewhere new is in the record before its first byte is
 * in the file (the store infers from this what came after the last record); after `stop` or `last` none is begun.
 */
export class RecordKeeper {
  readonly #body: FillBody;
  readonly #clock: Clock;
  readonly #starts = new Set<number>();
  #timer: Timer | undefined;
  #unrecordedBytes = 0;
  #recordedAtMs: number;
  #stopped = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(body: FillBody, clock: Clock) {
    this.#body = body;
    this.#clock = clock;
    this.#recordedAtMs = clock.monotonic();
  }

  /** A feed is about to write from `start` on. */
  begin(start: number): Promise<void> {
    this.#starts.add(start);
    return this.#record();
  }

  wrote(bytes: number): void {
    this.#unrecordedBytes += bytes;
    if (this.#stopped) return;
    if (this.#unrecordedBytes >= everyBytes) this.#recordInBackground();
    else this.#timer ??= this.#clock.after(everyMs, () => this.#look());
  }

  /** Begins no further record. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.clear();
    this.#timer = undefined;
  }

  /** Resolves when no record is being written. */
  async idle(): Promise<void> {
    await this.#writing.catch(() => {});
  }

  /** Writes what is there now, as the last record. */
  async last(): Promise<void> {
    this.stop();
    await this.#record();
  }

  #look(): void {
    const isLittle = this.#unrecordedBytes < littleBytes;
    if (!isLittle || this.#clock.monotonic() - this.#recordedAtMs >= longestMs) this.#recordInBackground();
    else this.#timer = this.#clock.after(everyMs, () => this.#look());
  }

  #recordInBackground(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    // A record that fails costs a later process some bytes, not this fill anything: its writes would fail too.
    this.#record().catch(() => {});
  }

  #record(): Promise<void> {
    this.#unrecordedBytes = 0;
    this.#recordedAtMs = this.#clock.monotonic();
    this.#writing = this.#writing
      .catch(() => {})
      .then(() => {
        const marks = [...this.#starts].filter((start) => this.#body.filled.endFrom(start) === start);
        const empty = marks.map((start) => ({ start, end: start }));
        const filled = [...this.#body.filled.toArray(), ...empty].sort((a, b) => a.start - b.start || a.end - b.end);
        return this.#body.storage.record(filled, this.#body.sizeBytes);
      });
    return this.#writing;
  }
}
