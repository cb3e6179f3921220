import { readFile, stat } from 'node:fs/promises';
import type { Interval } from '../../core/byte-range.ts';
import { algorithmOf, type Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { IntervalSet } from '../../core/interval-set.ts';
import type { PartialBlob } from '../content-store.ts';
import type { DigestQueue } from './digest-queue.ts';
import type { Disk, DiskFile } from './disk.ts';
import { replaceFile, writeFully } from './file-io.ts';
import type { Layout } from './layout.ts';
import { emptyRecord, filledIntervals, type PartialRecord, parseRecord, serializeRecord } from './partial-record.ts';
import { storageError } from './storage-error.ts';

/** What a partial file tells the store, and asks of it. */
export interface PartialBlobDeps {
  readonly disk: Disk;
  readonly layout: Layout;
  readonly queue: DigestQueue;
  readonly ingest: {
    grew(digest: Digest, bytes: number): void;
    emptied(digest: Digest): void;
    closed(digest: Digest, isLeft: boolean): void;
    held(digest: Digest): void;
    released(digest: Digest): void;
  };
  /** The file has its name in the store. */
  readonly committed: (digest: Digest, sizeBytes: number) => Promise<void>;
  /** More of the disk is in use than a while ago, or something may leave now. */
  readonly usageChanged: () => void;
}

/**
 * A fill's file under `ingest/`.
 *
 * Invariants: data is only where it was written, never preallocated, so that the file's length says how far the fill of
 * the highest interval came. The record is replaced whole. `commit`, `discard` and the removal of leftovers run in the
 * digest's turn. Writes may overlap each other; `commit` comes after the last of them ended. A crash at any point leaves
 * the partial file, or the committed one with at most a stray record, which the next start removes.
 */
export class FsPartialBlob implements PartialBlob {
  readonly digest: Digest;
  readonly fd: number;
  readonly resumed: PartialRecord;
  readonly #deps: PartialBlobDeps;
  readonly #file: DiskFile;
  readonly #written: IntervalSet;
  #outcome: 'partial' | 'committed' | 'discarded' = 'partial';
  #recording: Promise<void> = Promise.resolve();
  #holds = 0;
  #closing: Promise<void> | undefined;
  #isEnded = false;

  /** Opens the file where an earlier fill left it, or creates it. Call in the digest's turn, with the digest counted as open in the ingest folder. */
  static async open(deps: PartialBlobDeps, digest: Digest): Promise<FsPartialBlob> {
    try {
      return await resume(deps, digest);
    } catch (error) {
      throw storageError(error, 'open a partial file');
    }
  }

  constructor(deps: PartialBlobDeps, digest: Digest, file: DiskFile, resumed: PartialRecord) {
    this.#deps = deps;
    this.digest = digest;
    this.#file = file;
    this.fd = file.fd;
    this.resumed = resumed;
    this.#written = new IntervalSet(resumed.filled);
    deps.ingest.grew(digest, this.#written.bytes);
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      await writeFully(this.#file, bytes, offset);
    } catch (error) {
      throw storageError(error, 'write content');
    }
    this.#deps.ingest.grew(this.digest, this.#written.add(offset, offset + bytes.byteLength));
  }

  record(filled: readonly Interval[], sizeBytes: number | undefined): Promise<void> {
    if (this.#outcome !== 'partial') return Promise.resolve();
    const { disk, layout } = this.#deps;
    const path = layout.partialRecord(this.digest);
    const text = Buffer.from(serializeRecord({ filled, sizeBytes }));
    const recorded = replaceFile(disk, `${path}.tmp`, path, (append) => append(text), false);
    this.#recording = recorded.catch(() => {});
    this.#deps.usageChanged();
    return recorded.catch((error: unknown) => {
      throw storageError(error, 'record what is filled');
    });
  }

  async commit(sizeBytes: number): Promise<void> {
    const { disk, layout, queue, ingest, committed } = this.#deps;
    this.#assertPartial();
    await this.#recording;
    try {
      const { size } = await this.#file.stat();
      if (size < sizeBytes) throw new AppError('STORAGE_FAILED', `the file has ${size} of ${sizeBytes} bytes`);
      if (size > sizeBytes) await this.#file.truncate(sizeBytes);
      await this.#file.sync();
      await queue.run(this.digest, async () => {
        await disk.rename(layout.partialData(this.digest), layout.blob(this.digest));
        this.#outcome = 'committed';
        ingest.emptied(this.digest);
        await committed(this.digest, sizeBytes);
        await disk.syncFolder(layout.blobFolder(algorithmOf(this.digest)));
        await disk.remove(layout.partialRecord(this.digest));
      });
    } catch (error) {
      throw storageError(error, 'commit content');
    }
    this.#deps.usageChanged();
  }

  async discard(): Promise<void> {
    this.#assertPartial();
    this.#outcome = 'discarded';
    await this.#recording;
    try {
      await this.#removeFiles();
    } catch (error) {
      throw storageError(error, 'remove a partial file');
    }
  }

  hold(): () => void {
    this.#holds++;
    this.#deps.ingest.held(this.digest);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holds--;
      this.#deps.ingest.released(this.digest);
      void this.#closeFileIfFree();
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#recording;
    // A file without a byte is worth nothing to a later fill, and nothing would ever make it leave.
    const isLeft = this.#outcome === 'partial' && this.#written.bytes > 0;
    if (this.#outcome === 'partial' && !isLeft) await this.#removeFiles().catch(() => {});
    this.#isEnded = true;
    this.#deps.ingest.closed(this.digest, isLeft);
    await this.#closeFileIfFree();
  }

  /** In the digest's turn only so that the end of the store waits for it. */
  async #closeFileIfFree(): Promise<void> {
    if (!this.#isEnded || this.#holds > 0) return;
    await this.#deps.queue.run(this.digest, () => this.#file.close()).catch(() => {});
    this.#deps.usageChanged();
  }

  #removeFiles(): Promise<void> {
    const { disk, layout, queue, ingest } = this.#deps;
    return queue.run(this.digest, async () => {
      await disk.remove(layout.partialData(this.digest));
      await disk.remove(layout.partialRecord(this.digest));
      ingest.emptied(this.digest);
    });
  }

  #assertPartial(): void {
    if (this.#outcome !== 'partial') throw new AppError('INTERNAL', `the fill of ${this.digest} has ended before`);
  }
}

// A record is a few intervals; a large one is not ours.
const maxRecordBytes = 2 ** 20;

async function resume(deps: PartialBlobDeps, digest: Digest): Promise<FsPartialBlob> {
  const path = deps.layout.partialData(digest);
  const record = (await readRecord(deps.layout.partialRecord(digest))) ?? emptyRecord;
  const lengthBytes = (await stat(path).catch(() => undefined))?.size ?? 0;
  const filled = filledIntervals(record, lengthBytes);
  // What nobody vouches for would be taken for the new fill's progress after a crash, so it goes. By its name, not its
  // bytes: who holds the file may still be reading it.
  if (filled.length === 0) await deps.disk.remove(path);
  const file = await deps.disk.open(path, 'left');
  return new FsPartialBlob(deps, digest, file, { filled, sizeBytes: record.sizeBytes });
}

async function readRecord(path: string): Promise<PartialRecord | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.length > maxRecordBytes ? undefined : parseRecord(text);
}
