import type { Percentiles } from './effect-snapshot.ts';
import type { DurationCounts, DurationDelta } from './request-tally.ts';

/** How many were within each bound and not within the one before, and all; to be subtracted from a later one. */
export type DurationMark = Pick<DurationDelta, 'count' | 'within'>;

export function markOf({ count, within }: DurationDelta): DurationMark {
  return { count, within: within.slice() };
}

/** In ms, of what was counted since `mark`. Within a bucket all are taken to be spread evenly, as Prometheus does. */
export function percentilesSince(counts: DurationCounts, mark: DurationMark | undefined): Percentiles {
  const within = Array.from(counts.within, (value, index) => value - (mark?.within[index] ?? 0));
  const count = counts.count - (mark?.count ?? 0);
  const at = (part: number) => percentile(counts.bounds, within, count, part);
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}

function percentile(
  bounds: readonly number[],
  within: readonly number[],
  count: number,
  part: number,
): number | undefined {
  if (count <= 0) return undefined;
  const rank = part * count;
  let below = 0;
  for (const [index, inBucket] of within.entries()) {
    if (inBucket > 0 && below + inBucket >= rank) {
      const from = index === 0 ? 0 : (bounds[index - 1] ?? 0);
      const to = bounds[index] ?? from;
      return tenthsOfMs(from + (to - from) * ((rank - below) / inBucket));
    }
    below += inBucket;
  }
  // Beyond the last bound nothing is known but that it was longer.
  return tenthsOfMs(bounds.at(-1) ?? 0);
}

function tenthsOfMs(seconds: number): number {
  return Math.round(seconds * 10_000) / 10;
}
