import { readSync } from 'node:fs';
import { type AppError, asAppError } from '../../core/errors.ts';
import type { FlightReader } from '../flight-reader.ts';

/** A client of a flight under a test's control: it reads when it is told to, and remembers what it got. */
export class FollowingReader {
  readonly reader: FlightReader;
  readonly start: number;
  /** It asked for a part of the blob. */
  readonly isPart: boolean;
  readonly signal = new AbortController();
  readonly received: number[] = [];
  outcome: 'following' | 'complete' | 'left' | AppError = 'following';
  /** Sleeping until this many bytes of its position can be read. */
  isAsleep = false;
  #end: number | undefined;

  constructor(reader: FlightReader, isPart: boolean) {
    this.reader = reader;
    this.isPart = isPart;
    this.start = reader.start;
    this.#end = reader.end;
  }

  get position(): number {
    return this.start + this.received.length;
  }

  get end(): number | undefined {
    this.#end ??= this.reader.end;
    return this.#end;
  }

  get isFollowing(): boolean {
    return this.outcome === 'following';
  }

  /** Reads up to `maxBytes` of what is there; sleeps if there is nothing, and then goes on by itself once. */
  read(maxBytes: number): void {
    if (!this.isFollowing || this.isAsleep) return;
    try {
      const to = this.reader.readableTo(this.position);
      if (to > this.position) return this.#take(Math.min(to, this.position + maxBytes));
    } catch (error) {
      return this.#finish(asAppError(error));
    }
    this.isAsleep = true;
    this.reader.whenReadable(this.position, this.signal.signal).then(
      (to) => {
        this.isAsleep = false;
        if (!this.isFollowing) return;
        if (to > this.position) this.#take(Math.min(to, this.position + maxBytes));
        else this.#finish('complete');
      },
      (error) => {
        this.isAsleep = false;
        if (this.isFollowing) this.#finish(asAppError(error));
      },
    );
  }

  leave(): void {
    if (this.isFollowing) this.#finish('left');
  }

  #take(to: number): void {
    const { storage } = this.reader;
    const bytes = new Uint8Array(to - this.position);
    if (storage.kind === 'memory') bytes.set(storage.bytes.subarray(this.position, to));
    else readSync(storage.fd, bytes, 0, bytes.length, this.position);
    this.received.push(...bytes);
  }

  #finish(outcome: FollowingReader['outcome']): void {
    this.outcome = outcome;
    this.reader.close();
  }
}
