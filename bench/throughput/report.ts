import { formatSize } from '../../src/core/units.ts';
import { type Machine, machineText } from '../support/machine.ts';
import { type Column, markdownTable } from '../support/markdown-table.ts';
import { type Spread, spreadText } from '../support/statistics.ts';
import { type Verdict, verdictText } from '../support/verdict.ts';
import { type Case, type Group, groups } from './cases.ts';
import type { LoadSample } from './measure-load.ts';
import type { Parameters } from './parameters.ts';
import { rateNumber, rateUnit } from './rate-text.ts';
import { type Row, ratio } from './summary.ts';

export interface ReportInput {
  readonly machine: Machine;
  readonly parameters: Parameters;
  readonly titles: ReadonlyMap<string, string>;
  readonly absent: readonly string[];
  readonly rows: readonly Row[];
  readonly samples: readonly LoadSample[];
  readonly verdicts: readonly Verdict[];
  /** Of the manifest. */
  readonly manifestBytes: number;
}

const headings: Readonly<Record<Group, string>> = {
  manifests: 'Hot manifests',
  'access log': 'With a line for each request',
  blobs: 'Hot blobs',
  ranges: 'Ranges of a hot blob',
  TLS: 'TLS',
};

/** The whole result as Markdown. */
export function throughputReport(input: ReportInput): string {
  const { machine, parameters, manifestBytes, titles, rows, samples, verdicts, absent } = input;
  const { rounds, seconds, blobBytes, smallBlobBytes, rangeBytes } = parameters;
  const commit = machine.commit === undefined ? '' : `, commit ${machine.commit}`;
  const sections = groups.flatMap((group) => {
    const own = rows.filter((row) => row.case.group === group);
    return own.length === 0 ? [] : [`## ${headings[group]}\n\n${markdownTable(columns(titles, samples), own)}\n`];
  });
  return `# Throughput of hot content

![Answers and bytes for each second](throughput.svg)

Made by \`${machine.command}\` on ${machine.date} UTC${commit}: ${machineText(machine)}.
${rounds} round${rounds === 1 ? '' : 's'} of ${seconds} s for each measurement; subjects take turns within a round, and all share the machine with the client. A manifest of
${manifestBytes} bytes, a blob of ${formatSize(blobBytes)}, a small one of ${formatSize(smallBlobBytes)}, ranges of ${formatSize(rangeBytes)} all over the large one. Every subject has
served the right bytes of all of it before it is measured. No access log, except where it says so; no scrub.

${sections.join('\n')}
Medians of the rounds, smallest and largest in parentheses. onepull over it: the rate of onepull's counterpart over this
one's, of each round. CPU: what the subject takes for an answer, or for a GB. Cores: CPU time over wall time of the subject, of the
client, and of everything on the machine. A machine near all its cores is what limits, and then it is the CPU time for an
answer or a GB that tells who could do more.

## Targets

${verdicts.map((verdict) => `- ${verdictText(verdict)}`).join('\n')}
${absent.map((line) => `\n${line}.\n`).join('')}`;
}

function columns(titles: ReadonlyMap<string, string>, samples: readonly LoadSample[]): Column<Row>[] {
  const cores = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(2));
  return [
    { title: 'Asked for', cell: ({ case: { method, what } }) => `${method} ${what}` },
    { title: 'Client', cell: ({ case: { client, connections } }) => `${client} -c${connections}` },
    { title: 'Through', cell: ({ subject }) => titles.get(subject) ?? subject },
    { title: 'Rate', align: 'right', cell: ({ case: { unit }, rate }) => rates(unit, rate) },
    { title: 'onepull over it', align: 'right', cell: (row) => counterpartRatio(row, samples) },
    { title: 'CPU', align: 'right', cell: ({ case: { unit }, cost }) => costText(unit, cost) },
    { title: 'Cores', align: 'right', cell: ({ cores: { subject } }) => cores(subject) },
    { title: 'Client', align: 'right', cell: ({ cores: { client } }) => cores(client) },
    { title: 'Machine', align: 'right', cell: ({ cores: { machine } }) => cores(machine) },
    { title: 'p50, p99', align: 'right', cell: ({ latencyMs }) => latencyText(latencyMs) },
    { title: 'Failed', align: 'right', cell: ({ failed, errors }) => [failed, ...errors].join(': ') },
  ];
}

function rates(unit: Case['unit'], rate: Spread): string {
  return spreadText(rate, (value) => rateNumber(unit, value), rateUnit(unit));
}

/** The first of a case's subjects is onepull as the others are compared with it. */
function counterpartRatio({ case: one, subject }: Row, samples: readonly LoadSample[]): string {
  const [own] = one.subjects;
  if (own === undefined || own === subject) return '';
  return spreadText(
    ratio(samples, { case: one, subject: own }, { case: one, subject }),
    (value) => value.toFixed(2),
    'x',
  );
}

function costText(unit: Case['unit'], cost: number | undefined): string {
  if (cost === undefined || Number.isNaN(cost)) return '-';
  return unit === 'bytes' ? `${(cost * 1e9).toFixed(2)} s/GB` : `${(cost * 1e6).toFixed(1)} µs`;
}

function latencyText(latency: Row['latencyMs']): string {
  return latency === undefined ? '-' : `${latency.p50.toFixed(2)}, ${latency.p99.toFixed(2)} ms`;
}
