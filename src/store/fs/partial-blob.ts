import { type BytePieces, piecesLength } from '../../core/byte-pieces.ts';
import type { Interval } from '../../core/byte-range.ts';
import { algorithmOf, type Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { IntervalSet } from '../../core/interval-set.ts';
import type { PartialBlob } from '../content-store.ts';
import type { FileIds } from '../file-ids.ts';
import type { DigestQueue } from './digest-queue.ts';
import type { Disk, DiskFile } from './disk.ts';
import { writeFully } from './file-io.ts';
import type { Layout } from './layout.ts';
import { type LeftFill, readLeftFill, removeFill } from './left-fill.ts';
import { filledIntervals, type PartialRecord } from './partial-record.ts';
import { RecordFile } from './record-file.ts';
import { storageError } from './storage-error.ts';
import type { SyncTurn } from './sync-turn.ts';

/** How fills outlive the machine. */
export interface FillSafety {
  /** `Disk.boot`. */
  readonly boot: string | undefined;
  readonly syncTurn: Pick<SyncTurn, 'run'>;
  /** About so many bytes of each may be lost with it. */
  readonly syncEveryBytes: number;
}

/** What a partial file tells the store, and asks of it. */
export interface PartialBlobDeps extends FillSafety {
  readonly disk: Disk;
  readonly layout: Layout;
  readonly queue: DigestQueue;
  readonly fileIds: FileIds;
  readonly ingest: {
    grew(digest: Digest, bytes: number): void;
    emptied(digest: Digest): void;
    /** Returns what stands for the leftover, if there is one. */
    closed(digest: Digest, isLeft: boolean): object | undefined;
    /** Runs `work` in the digest's turn if its leftover is still the one that the last `closed` left. */
    ifStillLeft(digest: Digest, left: object, work: () => Promise<void>): Promise<void>;
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
  readonly fileId: number;
  readonly resumed: PartialRecord;
  readonly #deps: PartialBlobDeps;
  readonly #file: DiskFile;
  readonly #written: IntervalSet;
  readonly #record: RecordFile;
  #lastRecord: PartialRecord | undefined;
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

  constructor(deps: PartialBlobDeps, digest: Digest, file: DiskFile, { filled, synced, sizeBytes }: LeftFill) {
    this.#deps = deps;
    this.digest = digest;
    this.#file = file;
    this.fd = file.fd;
    this.fileId = deps.fileIds.next();
    this.resumed = { filled, sizeBytes };
    this.#lastRecord = filled.length > 0 ? this.resumed : undefined;
    const { syncEveryBytes } = deps;
    this.#record = new RecordFile({ ...deps, data: file }, digest, { synced, syncEveryBytes });
    this.#written = new IntervalSet(filled);
    deps.ingest.grew(digest, this.#written.bytes);
  }

  async write(bytes: BytePieces, offset: number): Promise<void> {
    const length = piecesLength(bytes);
    try {
      await writeFully(this.#file, bytes, offset);
    } catch (error) {
      throw storageError(error, 'write content');
    }
    this.#record.wrote(length);
    this.#deps.ingest.grew(this.digest, this.#written.add(offset, offset + length));
  }

  record(filled: readonly Interval[], sizeBytes: number | undefined): Promise<void> {
    if (this.#outcome !== 'partial') return Promise.resolve();
    this.#lastRecord = { filled, sizeBytes };
    const recorded = this.#record.write(this.#lastRecord);
    this.#recording = recorded.catch(() => {});
    this.#deps.usageChanged();
    return recorded.catch((error: unknown) => {
      throw storageError(error, 'record what is filled');
    });
  }

  async commit(sizeBytes: number): Promise<void> {
    const { disk, layout, queue, ingest, committed } = this.#deps;
    this.#assertPartial();
    this.#record.end();
    await this.#recording;
    try {
      const { size } = await this.#file.stat();
      if (size < sizeBytes) throw new AppError('STORAGE_FAILED', `the file has ${size} of ${sizeBytes} bytes`);
      if (size > sizeBytes) await this.#file.truncate(sizeBytes);
      await this.#file.sync();
      await this.#record.assertSynced();
      await queue.run(this.digest, async () => {
        await disk.rename(layout.partialData(this.digest), layout.blob(this.digest));
        this.#outcome = 'committed';
        ingest.emptied(this.digest);
        await committed(this.digest, sizeBytes);
        await disk.syncFolder(layout.blobFolder(algorithmOf(this.digest)));
        await disk.remove(layout.partialRecord(this.digest));
        // It must not come back and vouch for the data of a later fill.
        if (this.#record.isSynced) await disk.syncFolder(layout.ingest);
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
    this.#record.end();
    await this.#recording;
    // A file without a byte, or that nothing vouches for, is worth nothing to a later fill.
    const last = this.#lastRecord;
    const isLeft = this.#outcome === 'partial' && this.#written.bytes > 0 && last !== undefined;
    if (this.#outcome === 'partial' && !isLeft) await this.#removeFiles().catch(() => {});
    this.#isEnded = true;
    const left = this.#deps.ingest.closed(this.digest, isLeft);
    if (left !== undefined && last !== undefined) this.#keepLater(last, left);
    await this.#closeFileIfFree();
  }

  /** Nobody waits for it: meanwhile the next fill may begin, or the files may leave; then it was for nothing. */
  #keepLater(last: PartialRecord, left: object): void {
    const { ingest, syncTurn } = this.#deps;
    this.#holds++;
    const ifStillLeft = (work: () => Promise<void>) => ingest.ifStillLeft(this.digest, left, work);
    void syncTurn.run(async (isTime) => {
      try {
        if (!isTime) return;
        const { size } = await this.#file.stat();
        await this.#record.keep({ ...last, filled: filledIntervals(last, size) }, ifStillLeft);
      } catch {
        // As where it cannot be synced.
      } finally {
        this.#holds--;
        void this.#closeFileIfFree();
      }
    });
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
      await removeFill(disk, layout, this.digest, this.#record.isSynced);
      ingest.emptied(this.digest);
    });
  }

  #assertPartial(): void {
    if (this.#outcome !== 'partial') throw new AppError('INTERNAL', `the fill of ${this.digest} has ended before`);
  }
}

async function resume(deps: PartialBlobDeps, digest: Digest): Promise<FsPartialBlob> {
  const { boot, disk, layout } = deps;
  const left = await readLeftFill(layout, digest, boot);
  const end = left.filled.at(-1)?.end ?? 0;
  // What nobody vouches for would be taken for the new fill's progress after a crash, so it goes. By its name, not its
  // bytes: who holds the file may still be reading it.
  if (end === 0 && left.isThere) await removeFill(disk, layout, digest, left.synced.length > 0);
  const file = await disk.open(layout.partialData(digest), 'left');
  try {
    // Nor may what the machine's crash left beyond the end; nobody reads that.
    if (end > 0 && (left.file?.lengthBytes ?? 0) > end) await file.truncate(end);
    return new FsPartialBlob(deps, digest, file, left);
  } catch (error) {
    await file.close();
    throw error;
  }
}
