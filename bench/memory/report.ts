import { formatSize } from '../../src/core/units.ts';
import { lineChart, type Series } from '../support/line-chart.ts';
import { type Machine, machineText } from '../support/machine.ts';
import { type Column, markdownTable } from '../support/markdown-table.ts';
import { type Spread, spreadText } from '../support/statistics.ts';
import { type Verdict, verdictText } from '../support/verdict.ts';
import type { Parameters } from './parameters.ts';
import type { MemoryRow } from './summary.ts';

export interface ReportInput {
  readonly machine: Machine;
  readonly parameters: Parameters;
  readonly network: {
    /** The largest packet of a network of our own; undefined: it was the machine's own loopback, for this reason if any. */
    readonly mtu: number | undefined;
    readonly absent: string | undefined;
    readonly bounds: { readonly pressureBytes: number; readonly mostBytes: number } | undefined;
  };
  readonly titles: ReadonlyMap<string, string>;
  readonly absent: readonly string[];
  /** Descriptors that each process may have; undefined: not known. */
  readonly descriptors: number | undefined;
  readonly rows: readonly MemoryRow[];
  readonly verdicts: readonly Verdict[];
}

/** The whole result as Markdown. */
export function memoryReport(input: ReportInput): string {
  const { machine, parameters, titles, absent, descriptors, rows, verdicts } = input;
  const { rounds, blobBytes, slowBytesPerSecond } = parameters;
  const commit = machine.commit === undefined ? '' : `, commit ${machine.commit}`;
  const allowed = descriptors === undefined ? '' : ` Each process may have ${descriptors} descriptors.`;
  return `# Memory

![Peak memory over the number of slow readers](memory.svg)

Made by \`${machine.command}\` on ${machine.date} UTC${commit}: ${machineText(machine)}.
${rounds} rounds, each measurement with an empty cache; medians, with the smallest and the largest.${allowed}
${absent.map((line) => `${line}.\n`).join('')}
A cold blob of ${formatSize(blobBytes)} whose upstream is as fast as the machine. Slow readers take ${slowBytesPerSecond / 1000} KB/s each; they begin
together with one fast reader, which reads the blob while it comes ("cold"), and, when the system has stopped taking more
for them, again and again ("warm"). Slow
readers live in one process and the fast one in another. Ratios are to the same without slow readers, in the same round.
Peak memory is the process's largest resident set (VmHWM), its code and its runtime included. "TCP" is what the system holds
for all connections besides.${networkText(input.network)}

${markdownTable(columnsFor(titles), rows)}

## Targets

${verdicts.map((verdict) => `- ${verdictText(verdict)}`).join('\n')}
`;
}

function networkText({ mtu, absent, bounds }: ReportInput['network']): string {
  const bound =
    bounds === undefined
      ? ''
      : ` From ${formatSize(bounds.pressureBytes)} on it takes from each, and gives no more than ${formatSize(bounds.mostBytes)} (tcp_mem).`;
  if (mtu !== undefined) return `${bound} Packets are of ${mtu} bytes, as on Ethernet.`;
  const why = absent === undefined ? '' : `; there is no network of our own: ${absent}`;
  return `${bound} Packets are of 64 KiB, as on the machine's loopback alone${why}.`;
}

/** Peak memory with slow readers, over that without. */
export function memoryChart(
  rows: readonly MemoryRow[],
  titles: ReadonlyMap<string, string>,
  notes: readonly string[],
): string {
  const subjects = [...new Set(rows.map(({ subject }) => subject))];
  const series = subjects.map((subject, n): Series => {
    const own = rows.filter((row) => row.subject === subject);
    const alone = own.find(({ slowReaders }) => slowReaders === 0)?.peakBytes.median ?? Number.NaN;
    const points = own.map(({ slowReaders, peakBytes: { median, min, max } }) => {
      // Nobody at all has no place on an axis of powers: one reader stands for it.
      return { x: Math.max(1, slowReaders), y: median / alone, min: min / alone, max: max / alone };
    });
    const most = (own.at(-1)?.peakBytes.median ?? Number.NaN) / 2 ** 20;
    return { label: `${titles.get(subject) ?? subject}: ${most.toFixed(0)} MiB`, style: n + 1, points };
  });
  const panel = {
    title: 'Peak memory / peak memory without slow readers',
    xTitle: 'slow readers of one blob (1: none)',
    series: series.filter(({ points }) => points.every(({ y }) => !Number.isNaN(y))),
  };
  return lineChart({ title: 'Memory with slow readers', panels: [panel], notes });
}

const size = (figure: Spread) => spreadText(figure, (bytes) => (bytes / 2 ** 20).toFixed(0), ' MiB');
const rate = (figure: Spread) => spreadText(figure, (bytes) => (bytes / 1e6).toFixed(0), ' MB/s');
const times = (figure: Spread) => spreadText(figure, (value) => value.toFixed(2), 'x');

function columnsFor(titles: ReadonlyMap<string, string>): Column<MemoryRow>[] {
  return [
    { title: 'Cache', cell: ({ subject }) => titles.get(subject) ?? subject },
    { title: 'Slow readers', align: 'right', cell: ({ slowReaders }) => String(slowReaders) },
    { title: 'Memory before', align: 'right', cell: ({ startBytes }) => size(startBytes) },
    { title: 'Peak', align: 'right', cell: ({ peakBytes }) => size(peakBytes) },
    { title: 'TCP', align: 'right', cell: ({ tcpBytes }) => size(tcpBytes) },
    { title: 'Fast reader, cold', align: 'right', cell: ({ coldBytesPerSecond }) => rate(coldBytesPerSecond) },
    { title: 'Ratio', align: 'right', cell: ({ coldRatio }) => times(coldRatio) },
    { title: 'Warm', align: 'right', cell: ({ warmBytesPerSecond }) => rate(warmBytesPerSecond) },
    { title: 'Ratio', align: 'right', cell: ({ warmRatio }) => times(warmRatio) },
    { title: 'All slow ones', align: 'right', cell: ({ slowBytesPerSecond }) => rate(slowBytesPerSecond) },
    { title: 'Bodies', align: 'right', cell: ({ maxBodies }) => String(maxBodies) },
    { title: 'Cores', align: 'right', cell: ({ cores }) => spreadText(cores, (value) => value.toFixed(2), '') },
    { title: 'Failed', align: 'right', cell: ({ failed, errors }) => [failed, ...errors].join(': ') },
  ];
}
