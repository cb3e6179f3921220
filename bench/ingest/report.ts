import { formatDuration, formatSize } from '../../src/core/units.ts';
import { type BarPanel, barChart } from '../support/bar-chart.ts';
import { type Machine, machineText } from '../support/machine.ts';
import { type Column, markdownTable } from '../support/markdown-table.ts';
import { type Spread, spreadText } from '../support/statistics.ts';
import { subjectStyle } from '../support/subject-style.ts';
import { type Verdict, verdictText } from '../support/verdict.ts';
import type { Parameters } from './parameters.ts';
import type { Row } from './summary.ts';

export interface ReportInput {
  readonly machine: Machine;
  readonly parameters: Parameters;
  readonly titles: ReadonlyMap<string, string>;
  readonly absent: readonly string[];
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
}

/** The whole result as Markdown. */
export function ingestReport({ machine, parameters, titles, absent, rows, verdicts }: ReportInput): string {
  const { rounds, blobBytes, capMs } = parameters;
  const commit = machine.commit === undefined ? '' : `, commit ${machine.commit}`;
  return `# Ingest

![Bytes for each second of a cold pull, and what a GB costs](ingest.svg)

Made by \`${machine.command}\` on ${machine.date} UTC${commit}: ${machineText(machine)}.
${rounds} round${rounds === 1 ? '' : 's'}. One client pulls an image with one layer of ${formatSize(blobBytes)} that nobody has yet, over a line as fast as the machine,
which upstream, cache and client share. A pull counts as unfinished after ${formatDuration(capMs)}. Each has its digest checked afterwards.

${markdownTable(columns(titles), rows)}

Medians of the rounds, smallest and largest in parentheses. onepull over it: of each round. CPU: of the subject for a GB, what it
does after the client has all of it included; of upstream and client beside it. A cache receives, hashes, writes and sends;
\`curl | sha256sum\` receives and hashes; the upstream itself is only sent from.

## Targets

${verdicts.map((verdict) => `- ${verdictText(verdict)}`).join('\n')}
${absent.map((line) => `\n${line}.\n`).join('')}`;
}

export function ingestChart(rows: readonly Row[], notes: readonly string[]): string {
  const panel = (title: string, figure: (row: Row) => Spread, text: (value: number) => string): BarPanel => ({
    title,
    groups: [
      {
        title: '',
        bars: rows
          .filter((row) => figure(row).median > 0)
          .map((row) => {
            const { median: value, min, max } = figure(row);
            return { label: row.subject, style: subjectStyle(row.subject), value, min, max, text: text(value) };
          }),
      },
    ],
  });
  return barChart({
    title: 'A cold pull without a limit of the line',
    panels: [
      panel(
        'Bytes for each second',
        ({ rate }) => rate,
        (rate) => `${(rate / 1e9).toFixed(2)} GB/s`,
      ),
      panel(
        'CPU time for a GB',
        ({ cost }) => cost.subject,
        (cost) => `${(cost * 1e9).toFixed(2)} s`,
      ),
    ],
    notes,
  });
}

function columns(titles: ReadonlyMap<string, string>): Column<Row>[] {
  const cpu = (cost: number) => (Number.isNaN(cost) ? '-' : `${(cost * 1e9).toFixed(2)} s/GB`);
  return [
    { title: 'Through', cell: ({ subject }) => titles.get(subject) ?? subject },
    {
      title: 'Rate',
      align: 'right',
      cell: ({ rate }) => spreadText(rate, (value) => (value / 1e9).toFixed(2), ' GB/s'),
    },
    {
      title: 'onepull over it',
      align: 'right',
      cell: ({ subject, onepullOver }) =>
        subject === 'onepull' ? '' : spreadText(onepullOver, (value) => value.toFixed(2), 'x'),
    },
    {
      title: 'CPU',
      align: 'right',
      cell: ({ cost }) => spreadText(cost.subject, (value) => (value * 1e9).toFixed(2), ' s/GB'),
    },
    { title: 'Upstream', align: 'right', cell: ({ cost }) => cpu(cost.upstream) },
    { title: 'Client', align: 'right', cell: ({ cost }) => cpu(cost.client) },
    {
      title: 'Peak memory',
      align: 'right',
      cell: ({ peakMemoryBytes }) => (peakMemoryBytes === undefined ? '-' : formatSize(peakMemoryBytes)),
    },
    { title: 'Failed', align: 'right', cell: ({ failed, errors }) => [failed, ...errors].join(': ') },
  ];
}
