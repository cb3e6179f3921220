import type { Verdict } from '../support/verdict.ts';
import type { AdminRow } from './summary.ts';

/** Viewers and a scraper cost less than this part of the throughput, and of the machine. */
const mostCost = 0.03;

/** `cores`: those of the machine. */
export function judge(rows: readonly AdminRow[], pulls: number, cores: number): Verdict[] {
  return rows.filter(({ viewers }) => viewers > 0).map((row) => judgeRow(row, pulls, cores));
}

function judgeRow({ load, viewers, ratio, addedCores, errors }: AdminRow, pulls: number, cores: number): Verdict {
  const what = `${viewers} ${viewers === 1 ? 'viewer' : 'viewers'} of ${pulls} pulls`;
  const spread = (text: (value: number) => string, { median, min, max }: AdminRow['ratio']) =>
    `${text(median)} (${text(min)} to ${text(max)})`;
  if (load === 'nothing') {
    const share = { median: addedCores.median / cores, min: addedCores.min / cores, max: addedCores.max / cores };
    const percent = (value: number) => `${(100 * value).toFixed(1)}%`;
    const target = `${what}: cost < ${100 * mostCost}% of the machine's CPU`;
    return { target, measured: spread(percent, share), met: share.median < mostCost };
  }
  const target = `${what}: cost < ${100 * mostCost}% of the throughput of hot ${load}s`;
  const measured = `${spread((value) => `${value.toFixed(3)}x`, ratio)}${errors.length > 0 ? `, ${errors.join('; ')}` : ''}`;
  return { target, measured, met: ratio.median > 1 - mostCost && errors.length === 0 };
}
