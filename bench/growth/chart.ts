import { lineChart, type Point, type Series } from '../support/line-chart.ts';
import type { Spread } from '../support/statistics.ts';
import type { ClientsRow, HitRow, SizeRow } from './summary.ts';

/** The axis ends a little below 1: what is less is drawn there. */
const leastDrawn = 0.8;

/** What one answer costs, over the smallest cache and over the fewest connections: flat is good. */
export function growthChart(
  sizes: readonly SizeRow[],
  clients: readonly ClientsRow[],
  notes: readonly string[],
): string {
  const hot = (row: SizeRow, asked: HitRow['asked']) =>
    row.hits.find((hit) => hit.asked === asked && hit.spread === 'hot')?.rateRatio;
  const bySize = (label: string, style: number, ratio: (row: SizeRow) => Spread | undefined): Series => {
    return { label, style, points: sizes.flatMap((row) => pointAt(row.blobs, ratio(row))) };
  };
  const byClients = (content: ClientsRow['content'], style: number): Series => {
    const rows = clients.filter((row) => row.content === content);
    const points = rows.flatMap(({ connections, rateRatio }) => pointAt(connections, inverse(rateRatio)));
    return { label: `hot ${content}: ${points.at(-1)?.y.toFixed(2)}x`, style, points };
  };
  const last = sizes.at(-1);
  const label = (name: string, ratio: Spread | undefined) => `${name}: ${ratio?.median.toFixed(2)}x`;
  const hit = (row: SizeRow | undefined) => row && inverse(hot(row, 'digest'));
  return lineChart({
    title: 'What an answer costs as the cache grows, and as clients do',
    panels: [
      {
        title: 'Time / time with the smallest cache',
        xTitle: 'blobs in the cache',
        series: [
          bySize(label('a look-up at random', last?.lookUpRatio), 3, ({ lookUpRatio }) => lookUpRatio),
          bySize(label('start until ready', last?.readyRatio), 2, ({ readyRatio }) => readyRatio),
          bySize(label('a hot manifest', hit(last)), 1, hit),
        ],
      },
      {
        title: 'Time per answer / time with the fewest connections',
        xTitle: 'connections that ask at once',
        series: [byClients('manifest', 1), byClients('blob', 2)],
      },
    ],
    notes,
  });
}

function pointAt(x: number, ratio: Spread | undefined): Point[] {
  if (ratio === undefined || Number.isNaN(ratio.median)) return [];
  const drawn = (value: number) => Math.max(leastDrawn, value);
  return [{ x, y: drawn(ratio.median), min: drawn(ratio.min), max: drawn(ratio.max) }];
}

function inverse(rate: Spread): Spread;
function inverse(rate: Spread | undefined): Spread | undefined;
function inverse(rate: Spread | undefined): Spread | undefined {
  return rate && { median: 1 / rate.median, min: 1 / rate.max, max: 1 / rate.min };
}
