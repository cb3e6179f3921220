import { formatDuration, formatSize } from '../../src/core/units.ts';
import { lineChart, type Series } from '../support/line-chart.ts';
import { type Machine, machineText } from '../support/machine.ts';
import { type Column, markdownTable } from '../support/markdown-table.ts';
import { type Spread, spreadText } from '../support/statistics.ts';
import { type Verdict, verdictText } from '../support/verdict.ts';
import type { Parameters } from './parameters.ts';
import type { FailoverRow, SplitRow } from './summary.ts';

export interface ReportInput {
  readonly machine: Machine;
  readonly parameters: Parameters;
  readonly splits: readonly SplitRow[];
  readonly failovers: readonly FailoverRow[];
  readonly verdicts: readonly Verdict[];
}

const limits = { 'per-connection': 'each connection', 'per-upstream': 'all together' } as const;

/** The whole result as Markdown. */
export function poorUpstreamsReport({ machine, parameters, splits, failovers, verdicts }: ReportInput): string {
  const { rounds, blobBytes, lineBytesPerSecond, imageBytes, endpointBytesPerSecond, clients, capMs } = parameters;
  const commit = machine.commit === undefined ? '' : `, commit ${machine.commit}`;
  return `# Poor upstreams

![Rate over the connections that may share a blob](poor-upstreams.svg)

Made by \`${machine.command}\` on ${machine.date} UTC${commit}: ${machineText(machine)}.
${rounds} rounds, each measurement with an empty cache. A pull counts as unfinished after ${formatDuration(capMs)}.

## One large blob, several connections

One client pulls a blob of ${formatSize(blobBytes)}. Upstream gives ${lineBytesPerSecond / 1e6} MB/s to each connection, or to all of them together;
\`pull.maxSplit\` says how many may share the blob. Rate: over that of one connection in the same round.

${markdownTable(splitColumns, splits)}

## An endpoint dies in mid-burst

${clients} clients pull an image of ${formatSize(imageBytes)} at once. The upstream has two endpoints of ${endpointBytesPerSecond / 1e6} MB/s each; the preferred one
cuts all connections and refuses new ones when it has sent half of the image. "Next pull": one client pulls another,
small image right after.

${markdownTable(failoverColumns, failovers)}

## Targets

${verdicts.map((verdict) => `- ${verdictText(verdict)}`).join('\n')}
`;
}

/** The rate over the connections that are allowed. */
export function poorUpstreamsChart(rows: readonly SplitRow[], notes: readonly string[]): string {
  const allowed = [...new Set(rows.map((row) => row.allowed))];
  const names = ['per-connection', 'per-upstream'] as const;
  const series = names.map((limit, n): Series => {
    const points = rows
      .filter((row) => row.limit === limit)
      .map(({ allowed: x, rateRatio: { median: y, min, max } }) => ({ x, y, min, max }));
    return { label: `limit for ${limits[limit]}: ${points.at(-1)?.y.toFixed(2)}x`, style: n + 1, points };
  });
  const ideal = { label: 'ideal', style: 'reference' as const, points: allowed.map((n) => ({ x: n, y: n })) };
  const panel = {
    title: 'Rate of a large blob / rate over one connection',
    xTitle: 'connections that may share the blob (pull.maxSplit)',
    series: [ideal, ...series],
  };
  return lineChart({ title: 'Several connections for one blob', panels: [panel], notes });
}

const seconds = (figure: Spread) => spreadText(figure, (value) => value.toFixed(2), ' s');
const times = (figure: Spread, digits: number) => spreadText(figure, (value) => value.toFixed(digits), 'x');

const splitColumns: readonly Column<SplitRow>[] = [
  { title: 'Limit for', cell: ({ limit }) => limits[limit] },
  { title: 'Allowed', align: 'right', cell: ({ allowed }) => String(allowed) },
  { title: 'Used at once', align: 'right', cell: ({ used }) => String(used) },
  { title: 'Time', align: 'right', cell: (row) => seconds(row.seconds) },
  { title: 'Rate', align: 'right', cell: ({ rateRatio }) => times(rateRatio, 2) },
  { title: 'Upstream bytes', align: 'right', cell: ({ bytesRatio }) => times(bytesRatio, 4) },
  { title: 'Requests', align: 'right', cell: ({ requests }) => spreadText(requests, String, '') },
  { title: 'Peak memory', align: 'right', cell: ({ peakMemoryBytes }) => formatSize(peakMemoryBytes) },
  { title: 'Failed', align: 'right', cell: ({ failed }) => String(failed) },
];

const failoverColumns: readonly Column<FailoverRow>[] = [
  { title: 'Endpoints', cell: ({ dies }) => (dies ? 'the preferred one dies' : 'both live') },
  { title: 'Clients', align: 'right', cell: ({ clients }) => String(clients) },
  { title: 'Failed', align: 'right', cell: ({ failed, errors }) => [failed, ...errors].join(': ') },
  { title: 'Slowest pull', align: 'right', cell: (row) => seconds(row.seconds) },
  { title: 'Over that with both', align: 'right', cell: ({ slowestRatio }) => times(slowestRatio, 3) },
  { title: 'Upstream bytes', align: 'right', cell: ({ bytesRatio }) => times(bytesRatio, 4) },
  { title: 'Next pull', align: 'right', cell: ({ nextSeconds }) => seconds(nextSeconds) },
];
