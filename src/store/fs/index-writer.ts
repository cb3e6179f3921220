import type { Clock, Timer } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import type { Disk } from './disk.ts';
import { type Append, replaceFile } from './file-io.ts';
import { type IndexEntry, indexDescriptor, indexHead, indexTail } from './layout-index.ts';

export interface IndexWriterDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly health: { failed(trouble: 'index', error: unknown): void; worked(trouble: 'index'): void };
  readonly source: {
    slice(after: Digest | undefined, limit: number): { entries: IndexEntry[]; next: Digest | undefined };
  };
}

const manifestsAtOnce = 100;
const minDelayMs = 2000;

/** How long to let changes gather, given what the last write took: writing takes 2% of the time at most. */
export function indexDelayMs(lastWriteMs: number): number {
  return Math.max(minDelayMs, lastWriteMs * 50);
}

/**
 * Keeps `index.json` up with the catalog: some time after a change, and at the end.
 *
 * Invariants: nothing is written before `begin`: until the catalog has what the file says, the file is all there is of it.
 * One write runs at a time; a change during a write leads to another; the file is replaced whole, so a crash
 * leaves the one before. Slices are read some ticks apart: an entry that moves meanwhile may be missing until the next
 * write, which that very change asked for.
 */
export class IndexWriter implements AsyncDisposable {
  readonly #deps: IndexWriterDeps;
  readonly #path: string;
  readonly #draft: string;
  #timer: Timer | undefined;
  #hasBegun = false;
  #isChanged = false;
  #isStopped = false;
  #lastWriteMs = 0;
  #running: Promise<void> = Promise.resolve();

  /** @param draft where the new file is written before it takes the place of the one at `path` */
  constructor(deps: IndexWriterDeps, path: string, draft: string) {
    this.#deps = deps;
    this.#path = path;
    this.#draft = draft;
  }

  /** From now on the catalog is the truth, and what has changed in it so far is written, too. */
  begin(): void {
    this.#hasBegun = true;
    if (this.#isChanged) this.changed();
  }

  /** Notes that the file is behind. Costs nothing where that is known. */
  changed(): void {
    this.#isChanged = true;
    if (this.#isStopped || !this.#hasBegun) return;
    this.#timer ??= this.#deps.clock.after(indexDelayMs(this.#lastWriteMs), () => {
      this.#timer = undefined;
      void this.flush();
    });
  }

  /** Whether there is something to write. */
  get isBehind(): boolean {
    return this.#isChanged;
  }

  /** Writes the file if it is behind. Never rejects: a failure is noted, and the next change tries again. */
  flush(): Promise<void> {
    this.#running = this.#running.then(() => (this.#isChanged && this.#hasBegun ? this.#write() : undefined));
    return this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#timer?.clear();
    await this.flush();
  }

  async #write(): Promise<void> {
    const startedMs = this.#deps.clock.monotonic();
    this.#isChanged = false;
    try {
      await replaceFile(this.#deps.disk, this.#draft, this.#path, (append) => this.#writeEntries(append), true);
    } catch (error) {
      this.#isChanged = true;
      this.#deps.health.failed('index', error);
    }
    this.#lastWriteMs = this.#deps.clock.monotonic() - startedMs;
  }

  async #writeEntries(append: Append): Promise<void> {
    const write = (text: string) => append(Buffer.from(text));
    await write(indexHead);
    let separator = '\n';
    let after: Digest | undefined;
    do {
      const { entries, next } = this.#deps.source.slice(after, manifestsAtOnce);
      if (entries.length > 0) {
        await write(separator + entries.map(indexDescriptor).join(',\n'));
        separator = ',\n';
      }
      after = next;
    } while (after !== undefined);
    await write(indexTail);
  }
}
