import type { Verdict } from '../support/verdict.ts';
import type { FailoverRow, SplitRow } from './summary.ts';

/** From so many connections on the target of a split holds. */
const splitTarget = { allowed: 8, rate: 6 } as const;
/** Bytes that no fault may cost more than. */
const maxBytes = 1.02;
/** What counts as no loss of rate: the spread of one connection with itself is as large. */
const leastRate = 0.98;

export function judge(splits: readonly SplitRow[], failovers: readonly FailoverRow[]): Verdict[] {
  return [...splits.flatMap(judgeSplit), ...failovers.filter(({ dies }) => dies).flatMap(judgeFailover)];
}

function judgeSplit({ limit, allowed, rateRatio, bytesRatio, failed }: SplitRow): Verdict[] {
  if (allowed === 1) return [];
  const bytes = {
    target: `limit ${limit}, ${allowed} connections: upstream bytes <= ${maxBytes}x, in every round`,
    measured: `${bytesRatio.max.toFixed(4)}x`,
    met: bytesRatio.max <= maxBytes && failed === 0,
  };
  const rate = `${rateRatio.median.toFixed(2)}x (${rateRatio.min.toFixed(2)} to ${rateRatio.max.toFixed(2)})`;
  if (limit === 'per-upstream') {
    const target = `limit ${limit}, ${allowed} connections: no less than one connection's rate`;
    return [bytes, { target, measured: rate, met: rateRatio.median >= leastRate }];
  }
  if (allowed < splitTarget.allowed) return [bytes];
  const target = `limit ${limit}, ${allowed} connections: >= ${splitTarget.rate}x one connection's rate`;
  return [bytes, { target, measured: rate, met: rateRatio.median >= splitTarget.rate }];
}

function judgeFailover({ clients, failed, bytesRatio }: FailoverRow): Verdict[] {
  return [
    {
      target: `an endpoint dies, ${clients} clients: none notices`,
      measured: `${failed} failed pulls`,
      met: failed === 0,
    },
    {
      target: `an endpoint dies: upstream bytes <= ${maxBytes}x, in every round`,
      measured: `${bytesRatio.max.toFixed(4)}x`,
      met: bytesRatio.max <= maxBytes,
    },
  ];
}
