import { type Clock, sleep } from '../../core/clock.ts';
import { type Digest, parseDigest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { ContentHasher } from '../content-hasher.ts';
import type { BlobRow } from './catalog-blobs.ts';
import type { HeldFile } from './open-files.ts';
import { foreseen } from './storage-error.ts';

export interface ScrubDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly hasher: ContentHasher;
  readonly blobs: { slice(after: Digest | undefined, limit: number): BlobRow[] };
  readonly content: {
    /** Undefined where the file is gone; its row is then gone too. */
    hold(digest: Digest): Promise<HeldFile | undefined>;
    proved(file: HeldFile): Promise<void>;
  };
  readonly condemnation: { file(held: HeldFile, reason: string, foundBy: 'scrub'): Promise<void> };
  /** Gives files without a row theirs. */
  readonly adoptStored: (signal: AbortSignal) => Promise<boolean>;
  /** Where the last pass came to, kept over restarts: a large store takes longer than a process lives. */
  readonly position: { get(): string | undefined; set(digest: string): void };
}

export interface ScrubOptions {
  /** How much is read again per second; 0: nothing, ever. */
  readonly bytesPerSecond: number;
  /** From the end of a pass to the next; a day by default. */
  readonly restMs?: number;
}

const chunkBytes = 256 * 1024;
/** What a blob counts for at least: to open, look at and close a small one costs as much as to hash so many bytes. */
const leastBlobBytes = 64 * 1024;
const blobsAtOnce = 64;
const dayMs = 24 * 3600 * 1000;

/**
 * Reads all content again, slowly, and takes out what is not what its name says, before a client finds it.
 *
 * Invariants: one blob is open at a time, as a reader like any other, so it is not evicted under the scrub, and reading
 * it counts as no use. After each chunk, and each small blob, it rests for as long as the rate says; `abort` (at dispose)
 * ends it there. A crash costs the blobs since the position was noted last. A failure to read is damage; any other failure
 * ends the pass with a notice. What it finds right is not hashed again when it is served (`proved`).
 */
export class Scrub implements AsyncDisposable {
  readonly #deps: ScrubDeps;
  readonly #options: ScrubOptions;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;

  constructor(deps: ScrubDeps, options: ScrubOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Begins, in the background. Nothing happens where the rate is 0. */
  start(): void {
    if (this.#options.bytesPerSecond > 0) this.#running ??= this.#run(this.#abort.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, channels } = this.#deps;
    while (!signal.aborted) {
      try {
        await this.#pass(signal);
      } catch (error) {
        if (signal.aborted) return;
        channels.notice.publish({
          level: 'error',
          message: 'the scrub of the store failed',
          error: foreseen(error, 'scrub'),
        });
      }
      await sleep(clock, this.#options.restMs ?? dayMs, signal).catch(() => {});
    }
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { blobs, position, adoptStored } = this.#deps;
    await adoptStored(signal);
    let after = parseDigest(position.get() ?? '');
    for (;;) {
      const rows = blobs.slice(after, blobsAtOnce);
      for (const { digest, sizeBytes } of rows) {
        await this.#check(digest, signal);
        await this.#rest(Math.max(0, leastBlobBytes - sizeBytes), signal);
        signal.throwIfAborted();
        after = digest;
      }
      position.set(rows.length === 0 ? '' : (after ?? ''));
      if (rows.length === 0) return;
    }
  }

  async #check(digest: Digest, signal: AbortSignal): Promise<void> {
    const { content, condemnation } = this.#deps;
    const file = await content.hold(digest);
    if (file === undefined) return;
    try {
      const damage = await this.#damageOf(file, signal);
      if (damage === undefined) await content.proved(file);
      else await condemnation.file(file, damage, 'scrub');
    } finally {
      file.close();
    }
  }

  async #damageOf(file: HeldFile, signal: AbortSignal): Promise<string | undefined> {
    const { digest, fd, sizeBytes } = file;
    const hash = this.#deps.hasher.begin(digest, fd);
    try {
      for (let position = 0; position < sizeBytes; ) {
        const to = Math.min(position + chunkBytes, sizeBytes);
        await hash.advance(to);
        await this.#rest(to - position, signal);
        position = to;
      }
      return (await hash.finish(sizeBytes)) === digest ? undefined : 'its hash is another';
    } catch (error) {
      if (error instanceof AppError && error.code === 'STORAGE_FAILED') return error.message;
      throw error;
    } finally {
      await hash.end();
    }
  }

  /** For as long as the rate gives to so many bytes. */
  async #rest(bytes: number, signal: AbortSignal): Promise<void> {
    if (bytes > 0) await sleep(this.#deps.clock, (bytes / this.#options.bytesPerSecond) * 1000, signal);
  }
}
