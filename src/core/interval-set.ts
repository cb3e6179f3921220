import type { Interval } from './byte-range.ts';

/**
 * Which bytes of a blob are there: disjoint intervals in order, adjacent ones joined.
 * The number of intervals is that of the ranges a blob was filled by (a handful), so a list is the right structure.
 */
export class IntervalSet {
  #intervals: Interval[] = [];
  #bytes = 0;

  constructor(intervals: Iterable<Interval> = []) {
    for (const interval of intervals) this.add(interval.start, interval.end);
  }

  /** Bytes in the set. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Where its last byte ends; 0 while it is empty. */
  get end(): number {
    return this.#intervals.at(-1)?.end ?? 0;
  }

  /** Adds [start, end); returns how many of its bytes were new. */
  add(start: number, end: number): number {
    if (end <= start) return 0;
    const list = this.#intervals;
    let first = list.length;
    while (first > 0 && at(list, first - 1).end >= start) first--;
    let after = first;
    let [joinedStart, joinedEnd, had] = [start, end, 0];
    while (after < list.length && at(list, after).start <= end) {
      const interval = at(list, after++);
      had += interval.end - interval.start;
      joinedStart = Math.min(joinedStart, interval.start);
      joinedEnd = Math.max(joinedEnd, interval.end);
    }
    list.splice(first, after - first, { start: joinedStart, end: joinedEnd });
    const added = joinedEnd - joinedStart - had;
    this.#bytes += added;
    return added;
  }

  /** The end of the interval that holds `offset`, or `offset` itself where that byte is missing. */
  endFrom(offset: number): number {
    for (const interval of this.#intervals) {
      if (interval.start > offset) break;
      if (offset < interval.end) return interval.end;
    }
    return offset;
  }

  /** The first byte at or after `offset` that is in the set, or undefined. */
  nextFrom(offset: number): number | undefined {
    for (const interval of this.#intervals) {
      if (offset < interval.end) return Math.max(offset, interval.start);
    }
    return undefined;
  }

  /** The intervals of [start, end) that are missing, in order. */
  missing(start: number, end: number): Interval[] {
    const gaps: Interval[] = [];
    let from = start;
    for (const interval of this.#intervals) {
      if (interval.end <= from) continue;
      if (interval.start >= end) break;
      if (interval.start > from) gaps.push({ start: from, end: interval.start });
      from = interval.end;
    }
    if (from < end) gaps.push({ start: from, end });
    return gaps;
  }

  /** As they are now: to be looked at in this turn. */
  get intervals(): readonly Interval[] {
    return this.#intervals;
  }

  toArray(): readonly Interval[] {
    return [...this.#intervals];
  }
}

function at(list: readonly Interval[], index: number): Interval {
  const interval = list[index];
  if (interval === undefined) throw new RangeError(`no interval ${index}`);
  return interval;
}
