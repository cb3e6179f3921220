import { lineChart, type Panel, type Series } from '../support/line-chart.ts';
import type { Spread } from '../support/statistics.ts';
import type { Row } from './summary.ts';

export interface ChartInput {
  readonly rows: readonly Row[];
  readonly titles: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
}

/** Upstream bytes and slowest pull over the number of clients, for onepull and its peers. */
export function coldBurstChart({ rows, titles, notes }: ChartInput): string {
  const lines = linesOf(rows);
  const panel = (title: string, figure: (row: Row) => Spread): Panel => {
    const series = lines.map((line, n): Series => {
      const points = line.map((row) => ({ x: row.clients, ...pointOf(figure(row)) }));
      const last = points.at(-1)?.y ?? 0;
      const name = titles.get(line[0]?.subject ?? '') ?? '';
      return { label: `${name}: ${last.toFixed(last < 10 ? 2 : 1)}x`, style: n + 1, points };
    });
    return { title, xTitle: 'clients that pull one image at once, cold', series: [noCache(lines), ...series] };
  };
  return lineChart({
    title: 'A cold burst: what upstream sends, and how long the slowest client waits',
    panels: [
      panel('Bytes from upstream / bytes of the image', ({ bytesRatio }) => bytesRatio),
      panel('Slowest pull / one direct pull', ({ slowestRatio }) => slowestRatio),
    ],
    notes,
  });
}

/** For each subject its rows with the largest image that it pulled. */
function linesOf(rows: readonly Row[]): Row[][] {
  const subjects = Map.groupBy(
    rows.filter(({ subject }) => subject !== 'direct'),
    ({ subject }) => subject,
  );
  return [...subjects.values()].map((own) => {
    const largest = Math.max(...own.map(({ imageBytes }) => imageBytes));
    return own.filter(({ imageBytes }) => imageBytes === largest).sort((a, b) => a.clients - b.clients);
  });
}

/** Without a cache every client has its own pull over the one line: N times the bytes, N times as long. */
function noCache(lines: readonly Row[][]): Series {
  const clients = [...new Set(lines.flat().map((row) => row.clients))].sort((a, b) => a - b);
  return { label: 'no cache, computed', style: 'reference', points: clients.map((n) => ({ x: n, y: n })) };
}

function pointOf({ median, min, max }: Spread) {
  return { y: median, min, max };
}
