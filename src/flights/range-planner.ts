import type { Interval } from '../core/byte-range.ts';
import { IntervalSet } from '../core/interval-set.ts';

/** What the planner looks at: a flight at one moment. */
export interface PlanSituation {
  /** Undefined until a source says it, or the body has ended. */
  readonly sizeBytes: number | undefined;
  readonly filled: IntervalSet;
  /** The ranges being filled now. */
  readonly feeds: readonly PlannedFeed[];
  /** What readers wait for: the first byte each of them misses, and where its part ends (undefined: with the blob). */
  readonly wants: readonly { readonly from: number; readonly to: number | undefined }[];
  /** How many ranges may be in flight. 1 where the sources do not serve ranges. */
  readonly maxFeeds: number;
  readonly limits: PlanLimits;
  /** How several connections share the work; undefined: they do not. */
  readonly split?: SplitPlan | undefined;
}

export interface SplitPlan {
  /** Feeds that are worth having at once now. */
  readonly connections: number;
  /** Feeds that may be had at once, for a moment, so that one that ends is followed without a gap. */
  readonly most: number;
  readonly overlaps: boolean;
  /** What the next request should be for, in bytes; the whole rest where that is infinite. */
  readonly rangeBytes: number;
  /** A rest smaller than this is not left for another request. */
  readonly leastRangeBytes: number;
}

export interface PlannedFeed {
  readonly nextOffset: number;
  /** Where it stops at the latest (excluded); undefined: with the blob. */
  readonly end: number | undefined;
  readonly bytesPerSecond: number;
  /** It has hardly more to bring than comes while a new request waits for its first byte. */
  readonly isEnding: boolean;
}

/** A range to ask a source for; `end` undefined: to the last byte. */
export interface PlannedRange {
  readonly start: number;
  readonly end: number | undefined;
  /** For speed alone: not worth taking from anybody, nor waiting for. */
  readonly optional: boolean;
}

/** What a request for another range is weighed against, in bytes. */
export interface PlanLimits {
  /** A reader this close ahead of a feed waits for it rather than having a range of its own opened. */
  readonly patienceBytes: number;
  /** The least that is worth a request: small ranges of lazy pullers are rounded up to it. */
  readonly leastRangeBytes: number;
  /**
   * Filled bytes that a feed reads through (and drops) rather than stopping before them. Stopping costs another request
   * and whatever the connection has buffered already, which is more than this.
   */
  readonly readThroughBytes: number;
}

/** A reader waits for a feed, however far ahead, that will be there within this time at its present rate. */
const patienceSeconds = 1;

/**
 * Which range to open next, or undefined where none is worth it. Pure. The rules, in order:
 * 1. While the size is unknown there is one feed, at the end of what is there.
 * 2. A reader whose next byte no feed will reach soon gets a range there, to the end of what it asked for.
 * 3. With no feed at all, the first byte that nobody brings is next, up to the next stretch that is already there.
 * 4. So it is while fewer feeds run than are worth having; one that is about to end does not count.
 * A range never overlaps what is filled or what another feed has still before it (P1). Where connections share the work, a
 * range that begins with the first byte that nobody brings is as large as they want it, whoever waits for it.
 */
export function planRange(situation: PlanSituation): PlannedRange | undefined {
  const { sizeBytes, filled, feeds, maxFeeds, split } = situation;
  if (feeds.length >= maxFeeds) return undefined;
  if (sizeBytes === undefined) {
    return feeds.length === 0 ? { start: filled.endFrom(0), end: undefined, optional: false } : undefined;
  }
  const gap = unassigned(sizeBytes, filled, feeds)[0];
  const shared = split === undefined || gap === undefined ? undefined : sharedRange(gap, split, situation);
  for (const want of [...situation.wants].sort((a, b) => a.from - b.from)) {
    if (want.from >= sizeBytes || filled.endFrom(want.from) > want.from) continue;
    if (feeds.some((feed) => willReachSoon(feed, want.from, situation))) continue;
    if (shared !== undefined && shared.start === want.from) return shared;
    const least = Math.max(want.to ?? sizeBytes, want.from + situation.limits.leastRangeBytes);
    return bounded(want.from, Math.min(least, sizeBytes), situation);
  }
  if (gap === undefined) return undefined;
  if (feeds.length === 0) return shared ?? bounded(gap.start, sizeBytes, situation);
  if (split === undefined || shared === undefined || feeds.length >= split.most) return undefined;
  const working = feeds.filter((feed) => !(split.overlaps && feed.isEnding)).length;
  return working < split.connections ? { ...shared, optional: true } : undefined;
}

/** What is neither there nor on its way. */
function unassigned(sizeBytes: number, filled: IntervalSet, feeds: Iterable<PlannedFeed>): Interval[] {
  const assigned = new IntervalSet(filled.toArray());
  for (const { nextOffset, end } of feeds) assigned.add(nextOffset, end ?? sizeBytes);
  return assigned.missing(0, sizeBytes);
}

function sharedRange(gap: Interval, split: SplitPlan, situation: PlanSituation): PlannedRange {
  const sizeBytes = situation.sizeBytes ?? gap.end;
  const end = Math.min(sizeBytes, gap.start + split.rangeBytes);
  const isRest = gap.end - end < split.leastRangeBytes;
  return bounded(gap.start, isRest ? Math.max(end, gap.end) : end, situation);
}

function willReachSoon(feed: PlannedFeed, offset: number, situation: PlanSituation): boolean {
  if (offset < feed.nextOffset || offset >= (feed.end ?? Number.POSITIVE_INFINITY)) return false;
  const inBetween = situation.feeds.some((other) => other.nextOffset > feed.nextOffset && other.nextOffset <= offset);
  if (inBetween) return false;
  const distanceBytes = offset - feed.nextOffset;
  return distanceBytes <= Math.max(situation.limits.patienceBytes, feed.bytesPerSecond * patienceSeconds);
}

/** The range from `start` to `end` or to where another feed is, as a request: no end where it ends with the blob. */
function bounded(start: number, end: number, situation: PlanSituation): PlannedRange {
  let until = end;
  for (const feed of situation.feeds) {
    if (feed.nextOffset > start && feed.nextOffset < until) until = feed.nextOffset;
  }
  const stretch = situation.filled.nextFrom(start);
  if (stretch !== undefined && stretch < until) {
    until = endOfGaps(stretch, situation, until);
  }
  return { start, end: until === situation.sizeBytes ? undefined : until, optional: false };
}

/** Where a feed should stop: before the first filled stretch from `stretch` on that is too long to read through. */
function endOfGaps(stretch: number, { filled, limits }: PlanSituation, until: number): number {
  let end = stretch;
  while (end < until) {
    const stretchEnd = filled.endFrom(end);
    if (stretchEnd - end > limits.readThroughBytes || stretchEnd >= until) return end;
    end = Math.min(filled.nextFrom(stretchEnd) ?? until, until);
  }
  return end;
}
