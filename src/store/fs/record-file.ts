import type { Interval } from '../../core/byte-range.ts';
import type { Digest } from '../../core/digest.ts';
import type { Disk, DiskFile } from './disk.ts';
import { replaceFile } from './file-io.ts';
import type { Layout } from './layout.ts';
import { type PartialRecord, serializeRecord } from './partial-record.ts';
import type { SyncTurn } from './sync-turn.ts';

export interface RecordFileDeps {
  readonly disk: Disk;
  /** `Disk.boot`. */
  readonly boot: string | undefined;
  readonly layout: Layout;
  readonly syncTurn: Pick<SyncTurn, 'run'>;
  /** The data that the record is about. */
  readonly data: DiskFile;
}

/**
 * The record beside a fill's data: what a later process goes on from.
 *
 * A process that is killed loses nothing of what it wrote, so a record is written without a sync and says all. The machine
 * may lose any of that, so the record names its start, and what was synced before it was written: that alone is believed
 * after another start. Some megabytes at a time are synced in the background, while the fill goes on.
 *
 * Invariants: `write` calls do not overlap; one sync is under way at most; a record never says `synced` of what was not
 * synced before, nor before the sync resolved; the first record that says it is itself synced, name and all.
 */
export class RecordFile {
  readonly #deps: RecordFileDeps;
  readonly #digest: Digest;
  readonly #syncEveryBytes: number;
  #synced: readonly Interval[];
  #recordedSynced: readonly Interval[];
  #unsyncedBytes = 0;
  #isNameSynced = false;
  #isSyncDue = false;
  #syncing: Promise<void> | undefined;
  #isEnded = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: RecordFileDeps, digest: Digest, options: { synced: readonly Interval[]; syncEveryBytes: number }) {
    this.#deps = deps;
    this.#digest = digest;
    this.#synced = options.synced;
    this.#recordedSynced = options.synced;
    this.#syncEveryBytes = options.syncEveryBytes;
  }

  /** Whether the record on disk may be one that a later start of the machine believes. */
  get isSynced(): boolean {
    return this.#synced.length > 0;
  }

  /**
   * Rejects if a sync of the data failed. Another one may well succeed and mean nothing: the system reports what it lost
   * once (fsync(2), "EIO").
   */
  async assertSynced(): Promise<void> {
    await this.#syncing;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** The data grew. */
  wrote(bytes: number): void {
    this.#unsyncedBytes += bytes;
  }

  async write(record: PartialRecord): Promise<void> {
    await this.#replace(record);
    if (this.#unsyncedBytes >= this.#syncEveryBytes) this.#syncLater(record.filled);
  }

  /** No further sync begins: the fill is over. */
  end(): void {
    this.#isEnded = true;
  }

  /** Makes what a fill left outlive the machine, unless it is somebody else's by then. Never rejects. */
  async keep(record: PartialRecord, ifStillLeft: (work: () => Promise<void>) => Promise<void>): Promise<void> {
    if (this.#deps.boot === undefined || this.#isAllKept) return;
    try {
      await this.assertSynced();
      if (this.#unsyncedBytes > 0) await this.#syncData();
      await ifStillLeft(() => {
        this.#synced = record.filled;
        return this.#replace(record);
      });
    } catch {
      // Then the record says less, and a later start of the machine fetches that much again.
    }
  }

  get #isAllKept(): boolean {
    return this.#unsyncedBytes === 0 && this.#synced === this.#recordedSynced;
  }

  async #replace({ filled, sizeBytes }: PartialRecord): Promise<void> {
    const { boot, disk, layout } = this.#deps;
    const synced = this.#synced;
    const path = layout.partialRecord(this.#digest);
    const text = Buffer.from(serializeRecord({ filled, sizeBytes, synced, boot }));
    await replaceFile(disk, `${path}.tmp`, path, (append) => append(text), synced !== this.#recordedSynced);
    this.#recordedSynced = synced;
  }

  /** With its name: the record must never be found beside the data of an earlier fill. */
  async #syncData(): Promise<void> {
    const { data, disk, layout } = this.#deps;
    await data.sync();
    if (this.#isNameSynced) return;
    await disk.syncFolder(layout.ingest);
    this.#isNameSynced = true;
  }

  /** @param filled bytes that are in the file at this moment */
  #syncLater(filled: readonly Interval[]): void {
    if (this.#deps.boot === undefined || this.#isSyncDue || this.#isEnded) return;
    this.#isSyncDue = true;
    this.#unsyncedBytes = 0;
    void this.#deps.syncTurn.run(async (isTime) => {
      this.#syncing = this.#isEnded || !isTime ? undefined : this.#sync(filled);
      await this.#syncing;
      this.#isSyncDue = false;
    });
  }

  async #sync(filled: readonly Interval[]): Promise<void> {
    try {
      await this.#syncData();
      this.#synced = filled.filter(({ start, end }) => start < end);
    } catch (error) {
      this.#failure = { error };
    }
  }
}
