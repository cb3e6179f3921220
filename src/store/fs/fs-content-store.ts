import { stat } from 'node:fs/promises';
import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { ContentStore, PartialBlob, Room, StoredBlob } from '../content-store.ts';
import type { BlobTable } from './catalog-blobs.ts';
import type { DigestQueue } from './digest-queue.ts';
import type { Disk } from './disk.ts';
import { readFully, replaceFile } from './file-io.ts';
import type { IngestFolder } from './ingest-folder.ts';
import type { Layout } from './layout.ts';
import type { OpenFiles } from './open-files.ts';
import { FsPartialBlob, type PartialBlobDeps } from './partial-blob.ts';
import type { Quarantine } from './quarantine.ts';
import { isMissing, storageError } from './storage-error.ts';

export interface FsContentStoreDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly channels: Channels;
  readonly layout: Layout;
  readonly blobs: BlobTable;
  readonly queue: DigestQueue;
  readonly files: OpenFiles;
  readonly ingest: IngestFolder;
  readonly quarantine: Pick<Quarantine, 'take'>;
  readonly accessTimes: { touch(digest: Digest): void };
  readonly makeRoom: (needBytes: number) => Promise<void>;
}

/**
 * Content on disk. The disk is the truth, the catalog a quick account of it: a file without a row is adopted when it is
 * asked for, a row without a file is removed.
 *
 * Invariants: what opens, creates, renames or removes a digest's file runs in the digest's turn (`DigestQueue`), and the
 * row changes in the same turn; only joining a descriptor that is open already, and asking the catalog for a size, do
 * not wait. A crash between file and row is healed by the rule above.
 */
export class FsContentStore implements ContentStore {
  readonly #deps: FsContentStoreDeps;

  constructor(deps: FsContentStoreDeps) {
    this.#deps = deps;
  }

  async sizeOf(digest: Digest): Promise<number | undefined> {
    return this.#deps.blobs.find(digest)?.sizeBytes ?? (await this.adopt(digest));
  }

  async open(digest: Digest): Promise<StoredBlob | undefined> {
    const blob = this.#deps.files.share(digest) ?? (await this.openUnused(digest));
    if (blob !== undefined) this.#deps.accessTimes.touch(digest);
    return blob;
  }

  /** Like `open`, but no use of the content: for who looks after it. */
  openUnused(digest: Digest): Promise<StoredBlob | undefined> {
    return this.#deps.queue.run(digest, async () => {
      try {
        return this.#deps.files.share(digest) ?? (await this.#openFile(digest));
      } catch (error) {
        throw storageError(error, 'open content');
      }
    });
  }

  async read(digest: Digest, maxBytes: number): Promise<Uint8Array | undefined> {
    const blob = await this.open(digest);
    if (blob === undefined) return undefined;
    try {
      if (blob.sizeBytes > maxBytes) {
        throw new AppError('STORAGE_FAILED', `${digest} has ${blob.sizeBytes} bytes, more than ${maxBytes}`);
      }
      const bytes = new Uint8Array(blob.sizeBytes);
      if ((await readFully(blob.fd, bytes, 0)) === bytes.byteLength) return bytes;
      throw new AppError('STORAGE_FAILED', `${digest} is shorter than it was`);
    } catch (error) {
      throw storageError(error, 'read content');
    } finally {
      blob.close();
    }
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    const { disk, layout, queue } = this.#deps;
    const path = layout.blob(digest);
    await queue.run(digest, async () => {
      try {
        const known = await stat(path).catch(() => undefined);
        if (known?.size !== bytes.byteLength) {
          await replaceFile(disk, layout.blobDraft(digest), path, (append) => append(bytes), true);
        }
        this.#committed(digest, bytes.byteLength);
      } catch (error) {
        throw storageError(error, 'store content');
      }
    });
    this.#usageChanged();
  }

  openPartial(digest: Digest): Promise<PartialBlob> {
    const { disk, layout, queue, ingest } = this.#deps;
    const deps: PartialBlobDeps = {
      disk,
      layout,
      queue,
      ingest,
      committed: (committed, sizeBytes) => this.#committed(committed, sizeBytes),
      usageChanged: () => this.#usageChanged(),
    };
    return queue.run(digest, async () => {
      ingest.opened(digest);
      try {
        return await FsPartialBlob.open(deps, digest);
      } catch (error) {
        ingest.closed(digest, false);
        throw error;
      }
    });
  }

  async makeRoom(sizeBytes: number): Promise<Room> {
    await this.#deps.makeRoom(sizeBytes);
    return 'enough';
  }

  condemn(digest: Digest, reason: string): Promise<void> {
    return this.quarantine(digest, reason);
  }

  /** Records a file that is in place but not in the catalog. Returns the content's size, or undefined where it is not here. */
  adopt(digest: Digest): Promise<number | undefined> {
    const { blobs, layout, queue, clock } = this.#deps;
    return queue.run(digest, async () => {
      const row = blobs.find(digest);
      if (row !== undefined) return row.sizeBytes;
      try {
        const { size, mtimeMs } = await stat(layout.blob(digest));
        blobs.add(digest, size, Math.min(mtimeMs, clock.now()));
        return size;
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw storageError(error, 'look for content');
      }
    });
  }

  /** Removes content that the catalog no longer knows. A failure is a notice: nobody can do anything about it here. */
  unlink(digest: Digest): Promise<void> {
    const { channels, disk, layout, queue } = this.#deps;
    return queue.run(digest, async () => {
      try {
        await disk.remove(layout.blob(digest));
      } catch (error) {
        channels.notice.publish({ level: 'error', message: `cannot remove ${layout.blob(digest)}`, error });
      }
    });
  }

  /** Takes content out of the store that is not what its name says; repositories keep their links, so it is fetched again. */
  quarantine(digest: Digest, reason: string): Promise<void> {
    return this.#deps.queue.run(digest, () => this.#quarantine(digest, reason));
  }

  async #quarantine(digest: Digest, reason: string): Promise<void> {
    const { blobs, channels, disk, files, layout, quarantine } = this.#deps;
    files.forget(digest);
    blobs.remove(digest);
    try {
      await quarantine.take(digest);
    } catch (error) {
      if (isMissing(error)) return;
      await disk.remove(layout.blob(digest));
    }
    const message = `${digest} is damaged on disk (${reason}); it is in quarantine and will be fetched again`;
    channels.notice.publish({ level: 'error', message, fields: { digest } });
  }

  async #openFile(digest: Digest): Promise<StoredBlob | undefined> {
    const { blobs, channels, clock, files, layout } = this.#deps;
    const blob = await files.open(digest, layout.blob(digest));
    const row = blobs.find(digest);
    if (blob === undefined) {
      if (row === undefined) return undefined;
      blobs.remove(digest);
      channels.notice.publish({ level: 'warn', message: `${digest} is gone from disk`, fields: { digest } });
      return undefined;
    }
    if (row === undefined) blobs.add(digest, blob.sizeBytes, clock.now());
    else if (row.sizeBytes !== blob.sizeBytes) {
      blob.close();
      await this.#quarantine(digest, `it has ${blob.sizeBytes} of ${row.sizeBytes} bytes`);
      return undefined;
    }
    return blob;
  }

  #committed(digest: Digest, sizeBytes: number): void {
    this.#deps.blobs.add(digest, sizeBytes, this.#deps.clock.now());
  }

  /** Evicts if the limit is passed. Nobody waits for it. */
  #usageChanged(): void {
    void this.#deps.makeRoom(0);
  }
}
