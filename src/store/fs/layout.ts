import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { algorithmOf, type Digest, type DigestAlgorithm, hexOf, parseDigest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Disk } from './disk.ts';
import { replaceFile } from './file-io.ts';
import { errnoOf, isMissing, reasonOf, storageError } from './storage-error.ts';

export const digestAlgorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512'];

/**
 * Where things are in the data directory: an OCI image layout (image-spec "Image Layout") and our own files beside it.
 *
 *     oci-layout                      {"imageLayoutVersion":"1.0.0"}
 *     index.json                      tags and manifests by repository: what a lost catalog is restored from
 *     blobs/<algorithm>/<hex>         committed content; nothing else ever stands here
 *     ingest/<algorithm>-<hex>.part   data of a fill, sparse
 *     ingest/<algorithm>-<hex>.json   its record: the size, the filled intervals, which of them outlive the machine
 *     ingest/<name>.tmp               a file about to be renamed; those left by a crash are removed at the next start
 *     quarantine/<algorithm>-<hex>    content that failed its hash, for the operator to look at
 *     catalog.db, -wal                the catalog; catalog.db.corrupt-<time> is one that could not be read
 *     lock.db, lock.pid               who uses the directory
 */
export class Layout {
  readonly root: string;
  readonly marker: string;
  readonly markerDraft: string;
  readonly blobs: string;
  readonly ingest: string;
  readonly quarantine: string;
  readonly index: string;
  /** Where the next `index.json` is written. */
  readonly indexDraft: string;
  readonly catalog: string;

  constructor(root: string) {
    this.root = root;
    this.marker = join(root, 'oci-layout');
    this.blobs = join(root, 'blobs');
    this.ingest = join(root, 'ingest');
    this.quarantine = join(root, 'quarantine');
    this.index = join(root, 'index.json');
    this.markerDraft = join(this.ingest, 'oci-layout.tmp');
    this.indexDraft = join(this.ingest, 'index.tmp');
    this.catalog = join(root, 'catalog.db');
  }

  blobFolder(algorithm: DigestAlgorithm): string {
    return join(this.blobs, algorithm);
  }

  blob(digest: Digest): string {
    return join(this.blobFolder(algorithmOf(digest)), hexOf(digest));
  }

  partialData(digest: Digest): string {
    return join(this.ingest, `${fileNameOf(digest)}.part`);
  }

  partialRecord(digest: Digest): string {
    return join(this.ingest, `${fileNameOf(digest)}.json`);
  }

  /** The new file that becomes `digest`'s content by a rename. One at a time per digest. */
  blobDraft(digest: Digest): string {
    return join(this.ingest, `${fileNameOf(digest)}.tmp`);
  }

  quarantined(digest: Digest): string {
    return join(this.quarantine, fileNameOf(digest));
  }
}

function fileNameOf(digest: Digest): string {
  return `${algorithmOf(digest)}-${hexOf(digest)}`;
}

/** The digest in a file name of `ingest/` or `quarantine/`, its extension left out; undefined where it is none of ours. */
export function digestOfFileName(name: string): Digest | undefined {
  return parseDigest(name.replace('-', ':'));
}

/** Creates what is missing of the directory. Throws STORAGE_FAILED or STORAGE_FULL where it cannot be used, in one line. */
export async function prepareLayout(disk: Disk, layout: Layout): Promise<void> {
  try {
    // Private content of several registries stands here: what we create is ours alone to read.
    await makeFolders(disk, layout.root, 0o700);
    await access(layout.root, constants.R_OK | constants.W_OK | constants.X_OK);
    const { blobs, ingest, quarantine } = layout;
    for (const folder of [
      blobs,
      ...digestAlgorithms.map((algorithm) => layout.blobFolder(algorithm)),
      ingest,
      quarantine,
    ]) {
      await makeFolder(disk, folder);
    }
    // At each start: whoever made them may have died before. What is committed is only as safe as the names above it.
    for (const folder of [layout.root, blobs]) await disk.syncFolder(folder);
  } catch (cause) {
    throw unusable(layout, cause);
  }
}

function unusable({ root }: Layout, cause: unknown): AppError {
  const hint = hintFor(cause);
  const message = `cannot use the data directory ${root}: ${reasonOf(cause)}${hint && `; ${hint}`}`;
  return new AppError(storageError(cause, 'use it').code, message, { cause });
}

function hintFor(error: unknown): string {
  switch (errnoOf(error)) {
    case 'EROFS':
      return 'mount its file system for writing, or set storage.path to a directory on another one';
    case 'EACCES':
    case 'EPERM':
      return 'give it to the user that onepull runs as, or set storage.path to another one';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'make some room for its folders, or set storage.path to a directory on another disk';
    default:
      return '';
  }
}

/**
 * Says that this is an OCI image layout: others need it, we do not, so a full disk is no reason not to start. For the only user of
 * the directory: of two, one would rename the draft of the other. Throws STORAGE_FAILED.
 */
export async function markLayout(disk: Disk, layout: Layout): Promise<void> {
  const { marker, markerDraft } = layout;
  const marked = await stat(marker).catch(() => undefined);
  if (marked !== undefined && marked.size > 0) return;
  const text = Buffer.from(`${JSON.stringify({ imageLayoutVersion: '1.0.0' })}\n`);
  try {
    await replaceFile(disk, markerDraft, marker, (append) => append(text), true);
  } catch (error) {
    if (storageError(error, 'write the marker').code !== 'STORAGE_FULL') throw unusable(layout, error);
  }
}

/** As `mkdir -p`, for good. Node's own goes round for ever where the parent is there and yet has no room for folders, as in /proc. */
async function makeFolders(disk: Disk, path: string, mode: number): Promise<void> {
  try {
    await makeFolder(disk, path, mode);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await makeFolders(disk, dirname(path), mode);
    await makeFolder(disk, path, mode);
  }
  // The folder above is perhaps not ours to look into: then it is up to whoever keeps it.
  await disk.syncFolder(dirname(path)).catch(() => {});
}

async function makeFolder(disk: Disk, path: string, mode?: number): Promise<void> {
  try {
    await disk.makeFolder(path, mode);
  } catch (error) {
    const isThere = errnoOf(error) === 'EEXIST' && (await stat(path)).isDirectory();
    if (!isThere) throw error;
  }
}
