import { stat } from 'node:fs/promises';
import type { Clock } from '../../core/clock.ts';
import { algorithmOf, type Digest, digestOf } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { ContentStore, FileLease, PartialBlob, Room, StoredBlob } from '../content-store.ts';
import type { FileIds } from '../file-ids.ts';
import type { Condemnation } from './condemnation.ts';
import type { DigestQueue } from './digest-queue.ts';
import type { Disk } from './disk.ts';
import { identityAt, identityOf, isSameFile } from './file-identity.ts';
import { readFully, replaceFile } from './file-io.ts';
import { hasDigest } from './has-digest.ts';
import type { IngestFolder } from './ingest-folder.ts';
import type { KeptContent } from './kept-content.ts';
import type { Layout } from './layout.ts';
import type { HeldFile, OpenFiles } from './open-files.ts';
import { type FillSafety, FsPartialBlob, type PartialBlobDeps } from './partial-blob.ts';
import type { ProofLedger } from './proof-ledger.ts';
import type { Proofs } from './proofs.ts';
import type { Reservations } from './reservations.ts';
import type { RoomKeeper } from './room-keeper.ts';
import { RoomyPartial } from './roomy-partial.ts';
import type { SteadyBlobs } from './steady-blobs.ts';
import { isMissing, storageError } from './storage-error.ts';
import type { StoreHealth } from './store-health.ts';
import type { UseClock } from './use-clock.ts';

export interface FsContentStoreDeps {
  readonly clock: Pick<Clock, 'now'>;
  readonly disk: Disk;
  readonly useClock: Pick<UseClock, 'now'>;
  readonly channels: Channels;
  readonly layout: Layout;
  readonly blobs: SteadyBlobs;
  readonly queue: DigestQueue;
  readonly files: OpenFiles;
  readonly fileIds: FileIds;
  readonly ingest: IngestFolder;
  readonly fillSafety: FillSafety;
  readonly ledger: ProofLedger;
  readonly proofs: Pick<Proofs, 'serve'>;
  readonly condemnation: Condemnation;
  readonly accessTimes: { touch(digest: Digest): void };
  readonly health: StoreHealth;
  readonly room: RoomKeeper;
  readonly reservations: Reservations;
  readonly kept: Pick<KeptContent, 'keep'>;
  /** No content may be larger. */
  readonly maxSizeBytes: number;
}

/**
 * So long at most a gateway reads a file without asking. Then it is looked at anew: what others do to our files behind our
 * back is noticed that soon, and what was read most lately stays open.
 */
const leaseMs = 2000;

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

  partialBytes(digest: Digest): number {
    return this.#deps.ingest.bytesOf(digest);
  }

  async open(digest: Digest): Promise<StoredBlob | undefined> {
    const file = this.#deps.files.share(digest) ?? (await this.hold(digest));
    if (file === undefined) return undefined;
    this.#deps.accessTimes.touch(digest);
    file.keepOpen();
    const stored = this.#deps.proofs.serve(file);
    return stored.proof === undefined ? { ...stored, lease: (gateway) => this.#lease(file, gateway) } : stored;
  }

  /** No longer than the proof of its bytes is believed. */
  #lease(file: HeldFile, gateway: number): FileLease | undefined {
    const { clock, ledger } = this.#deps;
    const forMs = Math.min(leaseMs, ledger.provedForMs(file.digest, file.identity));
    const word = forMs > 0 ? file.lease(gateway) : undefined;
    return word && { words: word.words, index: word.index, untilMs: clock.now() + forMs };
  }

  leased(digest: Digest, fileId: number): StoredBlob | undefined {
    const file = this.#deps.files.again(digest, fileId);
    if (file === undefined) return undefined;
    const { sizeBytes, fd, view, close } = file;
    return { digest, sizeBytes, fd, view, proof: undefined, hurry: () => {}, close };
  }

  gatewayEnded(gateway: number): void {
    this.#deps.files.gatewayEnded(gateway);
  }

  /** The content's file, open, which counts as no use of it: for who looks after it. Undefined where it is not here. */
  hold(digest: Digest): Promise<HeldFile | undefined> {
    return this.#deps.queue.run(digest, async () => {
      try {
        return this.#deps.files.share(digest) ?? (await this.#openFile(digest));
      } catch (error) {
        throw this.#failure(error, 'open content');
      }
    });
  }

  read(digest: Digest, maxBytes: number): Promise<Uint8Array | undefined> {
    return this.#read(digest, maxBytes, () => this.#deps.accessTimes.touch(digest));
  }

  look(digest: Digest, maxBytes: number): Promise<Uint8Array | undefined> {
    return this.#read(digest, maxBytes, () => {});
  }

  async #read(digest: Digest, maxBytes: number, onUse: () => void): Promise<Uint8Array | undefined> {
    const file = this.#deps.files.share(digest) ?? (await this.hold(digest));
    if (file === undefined) return undefined;
    try {
      onUse();
      if (file.sizeBytes > maxBytes) {
        throw new AppError('STORAGE_FAILED', `${digest} has ${file.sizeBytes} bytes, more than ${maxBytes}`);
      }
      const bytes = new Uint8Array(file.sizeBytes);
      const damage = await this.#damageOf(file, bytes);
      if (damage === undefined) return bytes;
      await this.#deps.condemnation.file(file, damage, 'serving');
      return undefined;
    } finally {
      file.close();
    }
  }

  /** Fills `bytes` with the content, and hashes it if it was not lately. Says what is wrong with it. */
  async #damageOf(file: HeldFile, bytes: Uint8Array): Promise<string | undefined> {
    const { digest, fd, identity } = file;
    const bytesRead = await readFully(fd, bytes, 0).catch(() => undefined);
    if (bytesRead === undefined) return 'it cannot be read';
    if (bytesRead < bytes.byteLength) return 'it is shorter than it was';
    if (this.#deps.ledger.isProved(digest, identity)) return undefined;
    if (digestOf(bytes, algorithmOf(digest)) !== digest) return 'its hash is another';
    await this.proved(file);
    return undefined;
  }

  /** The file was read whole and has the digest. Believed of later readers, too, unless it was written to meanwhile. */
  async proved(file: HeldFile): Promise<void> {
    const identity = await file.identify().catch(() => undefined);
    if (identity === file.identity) this.#deps.ledger.right(file.digest, identity);
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    try {
      await this.#putOnce(digest, bytes);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'STORAGE_FULL') throw error;
      await this.#deps.room.relieve(digest);
      await this.#putOnce(digest, bytes);
    }
    // What was promised to a fill of it is taken: it had none.
    if (!this.#deps.ingest.isOpen(digest)) this.#deps.reservations.ended(digest);
    this.#usageChanged();
  }

  #putOnce(digest: Digest, bytes: Uint8Array): Promise<void> {
    const { disk, files, layout, ledger, queue } = this.#deps;
    const path = layout.blob(digest);
    return queue.run(digest, async () => {
      try {
        const there = await identityAt(path);
        if (there === undefined || !ledger.isProved(digest, there)) {
          const draft = layout.blobDraft(digest);
          await files.sparing(() => replaceFile(disk, draft, path, (append) => append(bytes), true));
        } else {
          // An earlier process may have died before it did.
          await disk.syncFolder(layout.blobFolder(algorithmOf(digest)));
        }
        await this.#committed(digest, bytes.byteLength);
      } catch (error) {
        throw this.#failure(error, 'store content');
      }
    });
  }

  openPartial(digest: Digest): Promise<PartialBlob> {
    const { disk, fileIds, files, fillSafety, layout, queue, ingest } = this.#deps;
    const deps: PartialBlobDeps = {
      ...fillSafety,
      disk,
      fileIds,
      layout,
      queue,
      ingest,
      committed: (committed, sizeBytes) => this.#committed(committed, sizeBytes),
      usageChanged: () => this.#usageChanged(),
    };
    return queue.run(digest, async () => {
      ingest.opened(digest);
      try {
        const partial = await files.sparing(() => FsPartialBlob.open(deps, digest));
        return new RoomyPartial(this.#deps, partial, this.#deps.maxSizeBytes);
      } catch (error) {
        ingest.closed(digest, false);
        throw this.#failure(error, 'open a partial file');
      }
    });
  }

  makeRoom(sizeBytes: number, digest?: Digest): Promise<Room> {
    return this.#deps.room.makeRoom(sizeBytes, digest);
  }

  keep(digest: Digest, sizeBytes: number): () => void {
    return this.#deps.kept.keep(digest, sizeBytes);
  }

  async condemn(digest: Digest, fd: number, reason: string): Promise<void> {
    try {
      await this.#deps.condemnation.opened(digest, fd, reason);
    } catch (error) {
      throw this.#failure(error, 'look at damaged content');
    }
  }

  /** Records a file that is in place but not in the catalog. Returns the content's size, or undefined where it is not here. */
  adopt(digest: Digest): Promise<number | undefined> {
    const { blobs, layout, ledger, queue, useClock } = this.#deps;
    return queue.run(digest, async () => {
      const row = blobs.find(digest);
      if (row !== undefined) return row.sizeBytes;
      try {
        const status = await stat(layout.blob(digest), { bigint: true });
        if (ledger.isWrong(digest, identityOf(status))) return undefined;
        blobs.add(digest, Number(status.size), Math.min(Number(status.mtimeMs), useClock.now()));
        return Number(status.size);
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw this.#failure(error, 'look for content');
      }
    });
  }

  /** Removes content that the catalog no longer knows; says whether it could. What is still there gets its row back. */
  unlink(digest: Digest): Promise<boolean> {
    return this.#deps.queue.run(digest, () => this.#removeFile(digest));
  }

  /** As `unlink`, also of what is open: who reads it reads on, whoever comes later finds a miss. */
  discard(digest: Digest): Promise<boolean> {
    const { blobs, files, queue } = this.#deps;
    return queue.run(digest, async () => {
      // Who opened it in a turn before this one has given it its row back.
      files.forget(digest);
      if (blobs.find(digest) !== undefined) blobs.remove(digest);
      return this.#removeFile(digest);
    });
  }

  async #removeFile(digest: Digest): Promise<boolean> {
    const { blobs, files, useClock, disk, health, layout } = this.#deps;
    const path = layout.blob(digest);
    try {
      await disk.remove(path);
      await files.closed();
      return true;
    } catch (error) {
      health.failed('failing', error);
      const there = await stat(path).catch(() => undefined);
      if (there !== undefined) blobs.add(digest, there.size, Math.min(there.mtimeMs, useClock.now()));
      return there === undefined;
    }
  }

  async #openFile(digest: Digest): Promise<HeldFile | undefined> {
    const { blobs, channels, files, layout } = this.#deps;
    const file = await files.open(digest, layout.blob(digest), (opened) => this.#isSound(opened));
    if (file === undefined && blobs.find(digest) !== undefined) {
      blobs.remove(digest);
      channels.notice.publish({ level: 'warn', message: `${digest} is gone from disk`, fields: { digest } });
    }
    return file;
  }

  /** As far as its size tells. What is not is put away; where the disk is right, the catalog is told. */
  #isSound(file: HeldFile): boolean | Promise<boolean> {
    const { blobs, useClock, ledger } = this.#deps;
    const { digest, sizeBytes } = file;
    if (ledger.isWrong(digest, file.identity)) return false;
    const row = blobs.find(digest);
    if (row !== undefined && row.sizeBytes !== sizeBytes) return this.#isRightAfterAll(file, row.sizeBytes);
    // The disk is the truth.
    if (row === undefined) blobs.add(digest, sizeBytes, useClock.now());
    return true;
  }

  /** Its size is another than the catalog says. */
  async #isRightAfterAll(file: HeldFile, expectedBytes: number): Promise<boolean> {
    const { blobs, condemnation, useClock } = this.#deps;
    const { digest, fd, identity, sizeBytes } = file;
    const isRight = await hasDigest(fd, digest);
    if (isRight) blobs.add(digest, sizeBytes, useClock.now());
    else await condemnation.inTurn(digest, identity, `it has ${sizeBytes} of ${expectedBytes} bytes`, 'serving');
    return isRight;
  }

  /** In the digest's turn, with the file in place. What was open under the digest before is another file. */
  async #committed(digest: Digest, sizeBytes: number): Promise<void> {
    const { blobs, useClock, files, layout, ledger } = this.#deps;
    blobs.add(digest, sizeBytes, useClock.now());
    const identity = await identityAt(layout.blob(digest));
    if (identity === undefined) return;
    ledger.right(digest, identity);
    const open = files.share(digest);
    if (open !== undefined && !isSameFile(open.identity, identity)) files.forget(digest);
    open?.close();
  }

  /** Evicts if the limit is passed. Nobody waits for it. */
  #usageChanged(): void {
    void this.#deps.room.keep();
  }

  #failure(error: unknown, doing: string): AppError {
    const failure = storageError(error, doing);
    this.#deps.health.noteFailure(failure);
    return failure;
  }
}
