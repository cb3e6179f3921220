import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { DigestQueue } from './digest-queue.ts';
import type { Disk } from './disk.ts';
import { exists } from './file-io.ts';
import { digestOfFileName, type Layout } from './layout.ts';
import { readLeftFill, removeFill } from './left-fill.ts';

export interface IngestFolderDeps {
  readonly disk: Disk;
  /** `Disk.boot`. */
  readonly boot: string | undefined;
  readonly layout: Layout;
  readonly queue: DigestQueue;
  readonly clock: Clock;
}

interface Leftover {
  readonly bytes: number;
  readonly atMs: number;
}

/**
 * The partial files: which are being filled, which are left over from a fill that ended early, and what both take.
 *
 * Invariants: a digest is in one of the two at most. A leftover becomes open, or is removed, in the digest's turn
 * (`DigestQueue`); leftovers stand in the order in which they were left. Bytes are those written, not the length of
 * the sparse file.
 */
export class IngestFolder {
  readonly #disk: Disk;
  readonly #boot: string | undefined;
  readonly #layout: Layout;
  readonly #queue: DigestQueue;
  readonly #clock: Clock;
  readonly #open = new Map<Digest, number>();
  readonly #leftovers = new Map<Digest, Leftover>();
  readonly #holds = new Map<Digest, number>();
  #bytes = 0;

  constructor(deps: IngestFolderDeps) {
    this.#disk = deps.disk;
    this.#boot = deps.boot;
    this.#layout = deps.layout;
    this.#queue = deps.queue;
    this.#clock = deps.clock;
  }

  /** What open and left partial files take of the disk. */
  get bytes(): number {
    return this.#bytes;
  }

  get openCount(): number {
    return this.#open.size;
  }

  get leftoverCount(): number {
    return this.#leftovers.size;
  }

  /** What left partial files take of it. */
  get leftoverBytes(): number {
    return this.#bytes - this.#open.values().reduce((sum, bytes) => sum + bytes, 0);
  }

  /** What the digest's partial file takes, open or left. */
  bytesOf(digest: Digest): number {
    return this.#open.get(digest) ?? this.#leftovers.get(digest)?.bytes ?? 0;
  }

  /** Whether it is being filled, or somebody still reads what a fill wrote. */
  isInUse(digest: Digest): boolean {
    return this.#open.has(digest) || this.#holds.has(digest);
  }

  isOpen(digest: Digest): boolean {
    return this.#open.has(digest);
  }

  held(digest: Digest): void {
    this.#holds.set(digest, (this.#holds.get(digest) ?? 0) + 1);
  }

  released(digest: Digest): void {
    const holds = (this.#holds.get(digest) ?? 1) - 1;
    if (holds > 0) this.#holds.set(digest, holds);
    else this.#holds.delete(digest);
  }

  /** Finds what an earlier process left, oldest first, and removes what no fill could go on from. */
  async scan(): Promise<void> {
    const names = new Set(await readdir(this.#layout.ingest));
    const found: { digest: Digest; leftover: Leftover }[] = [];
    for (const name of names) {
      const [, stem = '', extension] = /^(.*)\.(\w+)$/.exec(name) ?? [];
      const path = join(this.#layout.ingest, name);
      const digest = digestOfFileName(stem);
      if (extension === 'part' && digest !== undefined) {
        const leftover = await this.#keepOrRemove(digest);
        if (leftover !== undefined) found.push({ digest, leftover });
      } else if (extension === 'tmp' || (extension === 'json' && !names.has(`${stem}.part`))) {
        await this.#disk.remove(path);
      }
    }
    found.sort((a, b) => a.leftover.atMs - b.leftover.atMs);
    for (const { digest, leftover } of found) {
      this.#leftovers.set(digest, leftover);
      this.#bytes += leftover.bytes;
    }
  }

  async #keepOrRemove(digest: Digest): Promise<Leftover | undefined> {
    const { filled, synced, file } = await readLeftFill(this.#layout, digest, this.#boot);
    // Content that is there needs no fill: a crash of the machine may bring back the name that it had before its commit.
    if (file !== undefined && filled.length > 0 && !(await exists(this.#layout.blob(digest)))) {
      return { bytes: file.takenBytes, atMs: file.modifiedAtMs };
    }
    await removeFill(this.#disk, this.#layout, digest, synced.length > 0);
    return undefined;
  }

  /** A fill begins. `grew` says how much is there already. */
  opened(digest: Digest): void {
    if (this.#open.has(digest)) throw new AppError('INTERNAL', `${digest} is being filled already`);
    this.#bytes -= this.#leftovers.get(digest)?.bytes ?? 0;
    this.#leftovers.delete(digest);
    this.#open.set(digest, 0);
  }

  /** The open file takes `bytes` more, or less. */
  grew(digest: Digest, bytes: number): void {
    const before = this.#open.get(digest);
    if (before === undefined || bytes === 0) return;
    this.#open.set(digest, before + bytes);
    this.#bytes += bytes;
  }

  /** The data is content now, or gone; the digest stays open until `closed`. */
  emptied(digest: Digest): void {
    this.grew(digest, -(this.#open.get(digest) ?? 0));
  }

  /** A fill ended; `isLeft`: its files stay for a later one. Returns what stands for them. */
  closed(digest: Digest, isLeft: boolean): object | undefined {
    const bytes = this.#open.get(digest);
    if (bytes === undefined) return undefined;
    this.#open.delete(digest);
    if (!isLeft) {
      this.#bytes -= bytes;
      return undefined;
    }
    const left = { bytes, atMs: this.#clock.now() };
    this.#leftovers.set(digest, left);
    return left;
  }

  /** Runs `work` in the digest's turn if nobody opened or removed `left` since it was left. */
  ifStillLeft(digest: Digest, left: object, work: () => Promise<void>): Promise<void> {
    return this.#queue.run(digest, async () => {
      if (this.#leftovers.get(digest) === left) await work();
    });
  }

  /** The one to remove first, of those that nobody uses and that no fill is about to go on with. */
  oldestLeftover(isWanted: (digest: Digest) => boolean = () => false): Digest | undefined {
    for (const digest of this.#leftovers.keys()) {
      if (!this.#queue.isBusy(digest) && !this.#holds.has(digest) && !isWanted(digest)) return digest;
    }
    return undefined;
  }

  /** Removes a leftover's files; returns the bytes that came free. */
  removeLeftover(digest: Digest): Promise<number> {
    return this.#queue.run(digest, async () => {
      const leftover = this.#leftovers.get(digest);
      if (leftover === undefined) return 0;
      // Out of the list even where the file cannot be removed: eviction must not try for ever.
      this.#leftovers.delete(digest);
      this.#bytes -= leftover.bytes;
      await removeFill(this.#disk, this.#layout, digest, true);
      return leftover.bytes;
    });
  }
}
