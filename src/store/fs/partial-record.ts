import type { Interval } from '../../core/byte-range.ts';
import { IntervalSet } from '../../core/interval-set.ts';

/** What the record beside a partial file says. */
export interface PartialRecord {
  readonly filled: readonly Interval[];
  readonly sizeBytes: number | undefined;
}

export const emptyRecord: PartialRecord = { filled: [], sizeBytes: undefined };

export function serializeRecord({ filled, sizeBytes }: PartialRecord): string {
  const intervals = filled.map(({ start, end }) => [start, end]);
  return `${JSON.stringify({ version: 1, size: sizeBytes ?? null, filled: intervals })}\n`;
}

/** The record that `text` holds; undefined where it is not one of ours, whole and sound. */
export function parseRecord(text: string): PartialRecord | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof document !== 'object' || document === null) return undefined;
  if (!('version' in document && document.version === 1 && 'size' in document && 'filled' in document))
    return undefined;
  const { size, filled } = document;
  if (size !== null && !isOffset(size)) return undefined;
  if (!Array.isArray(filled) || !filled.every(isPair)) return undefined;
  return { filled: filled.map(([start, end]) => ({ start, end })), sizeBytes: size ?? undefined };
}

/**
 * Which bytes of a partial file of `lengthBytes` are there, unverified. What is recorded beyond the file was never
 * written, or was lost with the machine. Of the intervals that remain, the highest reaches to the end of the file:
 * each fill writes in order, and one that begins beyond it is recorded before its first write (a zero-length interval
 * does), so that nobody else can have written there.
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

function isPair(value: unknown): value is [number, number] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [start, end]: unknown[] = value;
  return isOffset(start) && isOffset(end) && start <= end;
}

function isOffset(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
