import { type Spread, spreadText } from '../support/statistics.ts';
import type { Verdict } from '../support/verdict.ts';
import type { AdminRow, PageSummary } from './summary.ts';

/** Viewers and a scraper cost less than this part of the throughput, and of the machine. */
const mostCost = 0.03;
/** Of a core's time, the page's main thread at one event a second. */
const mostPageShare = 0.1;
/** Its heap at the end of a run over that at the start: what is told meanwhile is a few points of history. */
const mostHeapGrowth = 1.1;

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

export function judgePage(page: PageSummary, pulls: number): Verdict[] {
  if ('skipped' in page) return [];
  const { taskMs, heapGrowth } = page;
  const judged = (target: string, figure: Spread, text: (value: number) => string, most: number): Verdict => {
    const measured = spreadText(figure, text, '');
    return { target: `the page with ${pulls} pulls: ${target}`, measured, met: figure.median < most };
  };
  const share = (ms: number) => `${(ms / 10).toFixed(1)}%`;
  return [
    judged(`< ${100 * mostPageShare}% of a core at one event a second`, taskMs, share, 1000 * mostPageShare),
    judged(
      `its heap is < ${mostHeapGrowth}x at the end`,
      heapGrowth,
      (value) => `${value.toFixed(2)}x`,
      mostHeapGrowth,
    ),
  ];
}
