import { formatSize } from '../../src/core/units.ts';
import { type Machine, machineText } from '../support/machine.ts';
import { type Column, markdownTable } from '../support/markdown-table.ts';
import { type Spread, spreadText } from '../support/statistics.ts';
import { type Verdict, verdictText } from '../support/verdict.ts';
import type { Parameters } from './parameters.ts';
import type { AdminRow, PageRow, PageSummary } from './summary.ts';

export interface ReportInput {
  readonly machine: Machine;
  readonly parameters: Parameters;
  readonly rows: readonly AdminRow[];
  readonly page: PageSummary;
  readonly verdicts: readonly Verdict[];
}

/** The whole result as Markdown. */
export function adminReport({ machine, parameters, rows, page, verdicts }: ReportInput): string {
  const { rounds, seconds, pulls, layers, layerBytesPerSecond, scrapeMs, blobBytes } = parameters;
  const commit = machine.commit === undefined ? '' : `, commit ${machine.commit}`;
  return `# Dashboard and admin API

Made by \`${machine.command}\` on ${machine.date} UTC${commit}: ${machineText(machine)}.
${rounds} rounds of ${seconds} s each; medians, with the smallest and the largest.

${pulls} images of ${layers} layers are being pulled all the while, each by a client of its own; of each one layer is on its way, at
${layerBytesPerSecond / 1024} KiB/s. Beside that the server does nothing, or answers for one hot manifest (${parameters.manifestConnections} connections) or one hot blob of
${formatSize(blobBytes)} (${parameters.blobConnections}), with and without viewers of \`/api/v1/events\`, who live in a process of their own on the same machine. Where
there are viewers, \`/metrics\` is asked for too, every ${scrapeMs / 1000} s. Ratios and differences are to the same without viewers, in the same
round.

${markdownTable(columns, rows)}

## The page

${pageText(page, parameters)}

## Targets

${verdicts.map((verdict) => `- ${verdictText(verdict)}`).join('\n')}
`;
}

function pageText(page: PageSummary, { pageRounds, pageSeconds }: Parameters): string {
  if ('skipped' in page) return `Not measured: ${page.skipped}.`;
  return `The view "now" in headless Chromium, ${pageRounds} times for ${pageSeconds} s, the server doing nothing else. CPU time of the page's main thread for
each event that it is told, what of that are scripts, layout and styles, and CPU of all of the browser's processes, which draw
without a GPU here; live objects on the heap at the end, and that over the start.

${markdownTable(pageColumns, [page])}`;
}

const ms = (figure: Spread) => spreadText(figure, (value) => value.toFixed(1), ' ms');

const pageColumns: readonly Column<PageRow>[] = [
  {
    title: 'Events',
    align: 'right',
    cell: ({ eventsPerSecond }) => spreadText(eventsPerSecond, (value) => value.toFixed(1), '/s'),
  },
  { title: 'Main thread for each', align: 'right', cell: ({ taskMs }) => ms(taskMs) },
  { title: 'Scripts', align: 'right', cell: ({ scriptMs }) => ms(scriptMs) },
  { title: 'Layout', align: 'right', cell: ({ layoutMs }) => ms(layoutMs) },
  { title: 'Styles', align: 'right', cell: ({ styleMs }) => ms(styleMs) },
  { title: 'Browser, cores', align: 'right', cell: ({ browserCores }) => cores(browserCores) },
  {
    title: 'Heap',
    align: 'right',
    cell: ({ heapBytes }) => spreadText(heapBytes, (bytes) => (bytes / 2 ** 20).toFixed(1), ' MiB'),
  },
  {
    title: 'Growth',
    align: 'right',
    cell: ({ heapGrowth }) => spreadText(heapGrowth, (value) => value.toFixed(2), 'x'),
  },
  { title: 'Nodes', align: 'right', cell: ({ nodes }) => spreadText(nodes, (value) => value.toFixed(0), '') },
];

const rate = (figure: Spread, { load }: AdminRow) =>
  load === 'nothing' ? '-' : spreadText(figure, (value) => value.toFixed(0), '/s');
const cores = (figure: Spread) => spreadText(figure, (value) => value.toFixed(3), '');

const columns: readonly Column<AdminRow>[] = [
  { title: 'Load', cell: ({ load }) => load },
  { title: 'Viewers', align: 'right', cell: ({ viewers }) => String(viewers) },
  { title: 'Answers', align: 'right', cell: (row) => rate(row.perSecond, row) },
  {
    title: 'Bytes',
    align: 'right',
    cell: (row) =>
      row.load === 'nothing' ? '-' : spreadText(row.bytesPerSecond, (bytes) => (bytes / 1e6).toFixed(0), ' MB/s'),
  },
  {
    title: 'Ratio',
    align: 'right',
    cell: ({ load, ratio }) => (load === 'nothing' ? '-' : spreadText(ratio, (value) => value.toFixed(3), 'x')),
  },
  { title: 'Cores', align: 'right', cell: (row) => cores(row.cores) },
  { title: 'More', align: 'right', cell: (row) => cores(row.addedCores) },
  {
    title: 'Events for each',
    align: 'right',
    cell: ({ eventsPerSecond }) => spreadText(eventsPerSecond, (value) => value.toFixed(1), '/s'),
  },
  {
    title: 'Size of one',
    align: 'right',
    cell: ({ eventBytes }) => spreadText(eventBytes, (bytes) => (bytes / 1e3).toFixed(0), ' KB'),
  },
  { title: 'Errors', cell: ({ errors }) => errors.join('; ') },
];
