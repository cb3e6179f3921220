import { readFile, stat } from 'node:fs/promises';
import type { Interval } from '../../core/byte-range.ts';
import type { Digest } from '../../core/digest.ts';
import type { Disk } from './disk.ts';
import type { Layout } from './layout.ts';
import { emptyRecord, parseRecord, type StoredRecord, survivingIntervals } from './partial-record.ts';

// A record is a few intervals; a large one is not ours.
const maxRecordBytes = 2 ** 20;

/** What an earlier fill left, in this process or another one. */
export interface LeftFill {
  /** Whether there is anything at all. */
  readonly isThere: boolean;
  /** What may be taken for there, unverified. Empty: nothing that is worth keeping. */
  readonly filled: readonly Interval[];
  /** Of it what a crash of the machine would not touch, and the record says so. */
  readonly synced: readonly Interval[];
  readonly sizeBytes: number | undefined;
  /** Of the data file, and what it takes of the disk; undefined where there is none. */
  readonly file:
    | { readonly lengthBytes: number; readonly takenBytes: number; readonly modifiedAtMs: number }
    | undefined;
}

/** @param boot which start of the machine this is (`Disk.boot`) */
export async function readLeftFill(layout: Layout, digest: Digest, boot: string | undefined): Promise<LeftFill> {
  const stored = await readRecord(layout.partialRecord(digest));
  const record = stored ?? emptyRecord;
  const status = await stat(layout.partialData(digest)).catch(() => undefined);
  const filled = survivingIntervals(record, status?.size ?? 0, boot);
  const file = status && {
    lengthBytes: status.size,
    takenBytes: Math.min(status.size, status.blocks * 512),
    modifiedAtMs: status.mtimeMs,
  };
  const isThere = stored !== undefined || file !== undefined;
  return { isThere, filled, synced: record.synced, sizeBytes: record.sizeBytes, file };
}

/**
 * Removes a fill's files. The record goes first, for good where a later start of the machine would believe it: else it
 * might come back, and vouch for the file of another fill.
 */
export async function removeFill(disk: Disk, layout: Layout, digest: Digest, isSynced: boolean): Promise<void> {
  await disk.remove(layout.partialRecord(digest));
  if (isSynced) await disk.syncFolder(layout.ingest);
  await disk.remove(layout.partialData(digest));
}

async function readRecord(path: string): Promise<StoredRecord | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.length > maxRecordBytes ? undefined : parseRecord(text);
}
