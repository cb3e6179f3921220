import type { Clock, Timer } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Reference } from '../../core/reference.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { PurgedBlob, PurgedImage } from '../images.ts';
import type { BlobRow } from './catalog-blobs.ts';
import type { DigestQueue } from './digest-queue.ts';
import { planUnit, type References } from './eviction-policy.ts';
import type { ImageNames } from './image-names.ts';
import type { IngestFolder } from './ingest-folder.ts';
import type { OpenFiles } from './open-files.ts';
import { foreseen } from './storage-error.ts';

export interface PurgeDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'notice'>;
  readonly names: ImageNames;
  readonly blobs: { find(digest: Digest): BlobRow | undefined };
  readonly references: References;
  readonly removal: { remove(digests: readonly Digest[]): void; forget(scope: number, digest: Digest): Digest[] };
  readonly transaction: <T>(work: () => T) => T;
  readonly queue: Pick<DigestQueue, 'isBusy'>;
  readonly files: Pick<OpenFiles, 'forget' | 'isOpen'>;
  readonly ingest: Pick<IngestFolder, 'isInUse' | 'bytesOf' | 'removeLeftover'>;
  readonly kept: { left(digest: Digest): void };
  /** Removes the file in the digest's turn, whoever reads it; says whether it is gone. */
  readonly discard: (digest: Digest) => Promise<boolean>;
}

const lookAgainMs = 1000;

/**
 * Takes images out of the store because an operator says so.
 *
 * Invariants
 * - What leaves is chosen and taken out of the catalog in one tick and one transaction: its names, what only they had, and
 *   of its content what no manifest that stays references, and no name that stays, or pin, holds. So from the next tick on
 *   whoever asks for it asks upstream.
 * - A file goes in the digest's turn (`DigestQueue`), queued in that same tick: who opened it before reads on to the end of
 *   what has no name any more; who asks later comes after it and finds a miss.
 * - What is being filled is left to its fill (`#departing`), and looked at once a second: when that has ended it leaves, if
 *   nothing names it by then. A crash forgets this: then it stays without a name until eviction comes to it.
 */
export class Purge implements Disposable {
  readonly #deps: PurgeDeps;
  readonly #departing = new Set<Digest>();
  #timer: Timer | undefined;

  constructor(deps: PurgeDeps) {
    this.#deps = deps;
  }

  async image(scope: number, reference: Reference): Promise<PurgedImage | undefined> {
    const { names, removal, transaction } = this.#deps;
    const manifests = names.manifestsOf(scope, reference);
    if (manifests.length === 0) return undefined;
    assertFree(names, scope, reference);
    const { gone, lost, blobs } = transaction(() => {
      const purged = names.removeNames(scope, reference);
      const taken = manifests.flatMap((manifest) => removal.forget(scope, manifest));
      return { gone: purged, lost: taken, blobs: manifests.flatMap((manifest) => this.#takeOut(manifest)) };
    });
    const removals = blobs.map(({ digest }) => this.#removeFile(digest));
    if ((await Promise.all(removals)).includes(false)) {
      throw new AppError('STORAGE_FAILED', 'the image has no name any more, but the disk keeps a part of it');
    }
    const digests = new Set([...manifests, ...lost, ...blobs.map(({ digest }) => digest)]);
    return { names: gone, blobs, digests: [...digests] };
  }

  [Symbol.dispose](): void {
    this.#timer?.clear();
    this.#departing.clear();
  }

  /** Takes a manifest that nothing names any more out of the catalog, with what only it references; returns what was here. */
  #takeOut(manifest: Digest): PurgedBlob[] {
    const { blobs, ingest, files, names, references, removal } = this.#deps;
    const isPinned = (digest: Digest) => blobs.find(digest)?.isPinned === true;
    if (names.isNamed(manifest) || isPinned(manifest)) return [];
    // A manifest that another repository has by its digest stays, with all that it references.
    const mayLeave = (digest: Digest) => !isPinned(digest) && !(names.isManifest(digest) && names.isLinked(digest));
    const { leaves } = planUnit(manifest, references, mayLeave);
    const taken: PurgedBlob[] = [];
    for (const digest of leaves) {
      const stored = blobs.find(digest);
      const sizeBytes = stored?.sizeBytes ?? ingest.bytesOf(digest);
      const isInUse = files.isOpen(digest) || ingest.isInUse(digest);
      if (ingest.isInUse(digest)) this.#departing.add(digest);
      if (stored !== undefined || sizeBytes > 0 || isInUse) taken.push({ digest, sizeBytes, isInUse });
    }
    removal.remove(leaves);
    if (this.#departing.size > 0) this.#lookLater();
    return taken;
  }

  /** In the tick in which it was taken out. */
  async #removeFile(digest: Digest): Promise<boolean> {
    const { discard, files, ingest, kept } = this.#deps;
    files.forget(digest);
    kept.left(digest);
    const isGone = discard(digest);
    if (!ingest.isInUse(digest) && ingest.bytesOf(digest) > 0) await ingest.removeLeftover(digest);
    return isGone;
  }

  #lookLater(): void {
    this.#timer ??= this.#deps.clock.after(lookAgainMs, () => {
      this.#timer = undefined;
      try {
        this.#look();
      } catch (error) {
        const message = 'what was purged while it was fetched stays until eviction comes to it';
        this.#departing.clear();
        this.#deps.channels.notice.publish({ level: 'warn', message, error: foreseen(error, 'purge') });
      }
      if (this.#departing.size > 0) this.#lookLater();
    });
  }

  #look(): void {
    const { blobs, ingest, names, queue, removal } = this.#deps;
    for (const digest of this.#departing) {
      if (ingest.isInUse(digest) || queue.isBusy(digest)) continue;
      this.#departing.delete(digest);
      if (names.isNamed(digest) || blobs.find(digest)?.isPinned === true) continue;
      removal.remove([digest]);
      void this.#removeFile(digest).catch((error: unknown) => {
        const message = 'what was purged cannot be removed';
        this.#deps.channels.notice.publish({ level: 'warn', message, error: foreseen(error, 'purge') });
      });
    }
  }
}

function assertFree(names: ImageNames, scope: number, reference: Reference): void {
  const hold = names.holdOn(scope, reference);
  if (hold === undefined) return;
  const { kind, name } = hold;
  const reason = kind === 'pinned' ? `${name} is pinned: unpin it first` : `it is a part of ${name}: purge that`;
  throw new AppError('IMAGE_KEPT', `the image is kept: ${reason}`, { details: { image: name } });
}
