import { lineChart, type Panel, type Point, type Series } from '../support/line-chart.ts';
import type { Spread } from '../support/statistics.ts';
import type { SpreadSubject } from './measure-spread.ts';
import type { SpreadRow } from './summary.ts';

export const subjectTitles: Readonly<Record<SpreadSubject, string>> = {
  cluster: 'onepull on each',
  shared: 'one cache for all',
  direct: 'each from upstream',
};

const styles: Readonly<Record<SpreadSubject, number>> = { cluster: 1, shared: 2, direct: 3 };
const xTitle = 'nodes that want one image at once, cold';
/** The axis ends a little below 1: what is less is drawn there. */
const leastDrawn = 0.8;

/** Time, upstream's bytes and the load of the busiest host over the number of nodes. */
export function clusterChart(rows: readonly SpreadRow[], notes: readonly string[]): string {
  const nominal = rows.filter(({ scale }) => scale === 1);
  const own = nominal.filter(({ subject }) => subject === 'cluster');
  const bound: Series = {
    label: 'the least there can be',
    style: 'reference',
    points: own.map(({ nodes, boundSeconds }) => ({ x: nodes, y: boundSeconds })),
  };
  const panel = (
    title: string,
    unit: string,
    figure: (row: SpreadRow) => Spread,
    subjects: readonly SpreadSubject[],
  ): Panel => {
    const series = subjects.map((subject): Series => {
      const points = nominal.filter((row) => row.subject === subject).flatMap((row) => pointAt(row.nodes, figure(row)));
      const last = points.at(-1)?.y ?? 0;
      return {
        label: `${subjectTitles[subject]}: ${last.toFixed(last < 10 ? 2 : 0)}${unit}`,
        style: styles[subject],
        points,
      };
    });
    return { title, xTitle, unit, series: unit === ' s' ? [bound, ...series] : series };
  };
  return lineChart({
    title: 'One cold image on many nodes: time, upstream bytes, load',
    panels: [
      panel('Seconds until the last node has it', ' s', (row) => row.lastSeconds, ['shared', 'direct', 'cluster']),
      panel('Seconds until the median node has it', ' s', (row) => row.medianSeconds, ['shared', 'direct', 'cluster']),
      panel('Bytes from upstream / bytes of the image', 'x', (row) => row.bytesRatio, ['direct', 'cluster']),
      panel('Sent by the busiest cache / the image', 'x', (row) => row.mostSentRatio, ['shared', 'cluster']),
    ],
    notes,
  });
}

function pointAt(x: number, { median, min, max }: Spread): Point[] {
  if (Number.isNaN(median)) return [];
  const drawn = (value: number) => Math.max(leastDrawn, value);
  return [{ x, y: drawn(median), min: drawn(min), max: drawn(max) }];
}
