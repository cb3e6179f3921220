import type { Interval } from '../../core/byte-range.ts';
import { IntervalSet } from '../../core/interval-set.ts';

/** What is known of a fill's progress. */
export interface PartialRecord {
  readonly filled: readonly Interval[];
  readonly sizeBytes: number | undefined;
}

/** What the record beside a partial file says. */
export interface StoredRecord extends PartialRecord {
  /** What was synced when this was written: it outlives the machine. */
  readonly synced: readonly Interval[];
  /** The start of the machine in which this was written (`Disk.boot`); undefined where nobody knew. */
  readonly boot: string | undefined;
}

export const emptyRecord: StoredRecord = { filled: [], sizeBytes: undefined, synced: [], boot: undefined };

export function serializeRecord({ filled, sizeBytes, synced, boot }: StoredRecord): string {
  const record = { version: 1, size: sizeBytes ?? null, filled: pairs(filled), synced: pairs(synced), boot };
  return `${JSON.stringify(record)}\n`;
}

/** The record that `text` holds; undefined where it is not one of ours, whole and sound. */
export function parseRecord(text: string): StoredRecord | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof document !== 'object' || document === null) return undefined;
  if (!('version' in document && document.version === 1 && 'size' in document && 'filled' in document))
    return undefined;
  const { size } = document;
  if (size !== null && !isOffset(size)) return undefined;
  const filled = parseIntervals(document.filled);
  const synced = 'synced' in document ? parseIntervals(document.synced) : [];
  const boot = 'boot' in document ? document.boot : undefined;
  if (filled === undefined || synced === undefined || !(boot === undefined || typeof boot === 'string'))
    return undefined;
  return { filled, sizeBytes: size ?? undefined, synced, boot };
}

/**
 * Which bytes of a partial file of `lengthBytes` may be taken for there, unverified, in the machine's start `boot`. As long
 * as the machine goes on, that is all that was written; in a later start only what had been synced, for of the rest the
 * file may hold anything. Where nobody knows which start it is, all is believed: the digest tells in the end.
 */
export function survivingIntervals(record: StoredRecord, lengthBytes: number, boot: string | undefined): Interval[] {
  if (record.boot === undefined || boot === undefined || record.boot === boot) {
    return filledIntervals(record, lengthBytes);
  }
  const there = new IntervalSet();
  for (const { start, end } of record.synced) there.add(start, Math.min(end, lengthBytes));
  return [...there.toArray()];
}

/**
 * Which bytes of a partial file of `lengthBytes` are there while the machine goes on. What is recorded beyond the file was
 * never written. Of the intervals that remain, the highest reaches to the end of the file: each fill writes in order,
 * and one that begins beyond it is recorded before its first write (a zero-length interval does), so that nobody else
 * can have written there.
 */
export function filledIntervals({ filled, sizeBytes }: PartialRecord, lengthBytes: number): Interval[] {
  const end = Math.min(lengthBytes, sizeBytes ?? lengthBytes);
  const within = filled.filter((interval) => interval.start <= end);
  const there = new IntervalSet();
  let highest = -1;
  for (const interval of within) {
    there.add(interval.start, Math.min(interval.end, end));
    highest = Math.max(highest, interval.start);
  }
  if (highest >= 0) there.add(highest, end);
  return [...there.toArray()];
}

function pairs(intervals: readonly Interval[]): [number, number][] {
  return intervals.map(({ start, end }) => [start, end]);
}

function parseIntervals(value: unknown): Interval[] | undefined {
  if (!Array.isArray(value) || !value.every(isPair)) return undefined;
  return value.map(([start, end]) => ({ start, end }));
}

function isPair(value: unknown): value is [number, number] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [start, end]: unknown[] = value;
  return isOffset(start) && isOffset(end) && start <= end;
}

function isOffset(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
