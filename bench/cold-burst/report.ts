import { formatDuration, formatSize } from '../../src/core/units.ts';
import { type Machine, machineText } from '../support/machine.ts';
import { type Column, markdownTable } from '../support/markdown-table.ts';
import { quantile, type Spread, spreadText } from '../support/statistics.ts';
import { type Verdict, verdictText } from '../support/verdict.ts';
import { type LatencySample, latencySetup } from './measure-latency.ts';
import type { WarmSample } from './measure-warm.ts';
import type { Parameters } from './parameters.ts';
import type { Row } from './summary.ts';

export interface ReportInput {
  readonly machine: Machine;
  readonly parameters: Parameters;
  readonly titles: ReadonlyMap<string, string>;
  readonly absent: readonly string[];
  readonly rows: readonly Row[];
  readonly latencies: readonly LatencySample[];
  readonly warm: WarmSample;
  readonly verdicts: readonly Verdict[];
}

/** The whole result as Markdown. */
export function coldBurstReport(input: ReportInput): string {
  const { machine, rows, titles, absent, latencies, warm, verdicts } = input;
  const commit = machine.commit === undefined ? '' : `, commit ${machine.commit}`;
  return `# Cold burst

![Upstream bytes and slowest pull over the number of clients](cold-burst.svg)

Made by \`${machine.command}\` on ${machine.date} UTC${commit}: ${machineText(machine)}.
${setupText(input)}

${markdownTable(pullColumns(titles), rows)}

Medians of the rounds, smallest and largest in parentheses. Bytes: response bodies that upstream sent, over the image's
bytes. Slowest and median pull: over the one direct pull of the same round. First byte: from the start of a pull to the
first byte of a blob, median client and slowest.

## What upstream was asked

${markdownTable(requestColumns(titles), rows)}

The most of any round. "At once": bodies of one blob under way at the same time.

## Who was busy

${markdownTable(cpuColumns(titles), rows)}

CPU time over wall time, in cores: the busiest client process, the cache, and everything on the machine, other programs
included. A client process near 1.0 would mean that the clients are what was measured.

## While a blob arrives

${markdownTable(latencyColumns, latencyRows(latencies))}

The upstream stands still at marks and writes ${latencySetup.pieces} pieces of ${formatSize(latencySetup.pieceBytes)}, one at a time. A piece's time runs from right before
upstream writes it until a waiter has all of it, so that it includes upstream's write, the cache's read and its write to
disk. Ranges lie on disk already and are asked while upstream stands still. The longest that an event loop stood still
(in steps of 5 to 10 ms), per repeat: ${pausesText(latencies)}.

## Warm pulls

${warm.clients} clients pull a cached image: ${requestsText(warm.fresh)} while the tag is fresh, ${requestsText(warm.expired)} after its TTL.

## Targets

${verdicts.map((verdict) => `- ${verdictText(verdict)}`).join('\n')}
${absent.map((line) => `\n${line}.\n`).join('')}`;
}

function setupText({ parameters, rows, titles }: ReportInput): string {
  const { rounds, lineBytesPerSecond, clientProcesses, verify, capMs } = parameters;
  const sizes = [...new Set(rows.map(({ imageBytes }) => imageBytes))].map(formatSize).join(' and ');
  const peers = [...titles].filter(([name]) => !['onepull', 'direct'].includes(name)).map(([, title]) => title);
  const compared =
    peers.length === 0
      ? ''
      : `\n${peers.join(', ')} pulls the smaller image, since it takes about as many times longer as there are clients;
onepull pulls both.`;
  return `${rounds} rounds; an upstream behind one line of ${lineBytesPerSecond / 1e6} MB/s that all its connections share; an image of three layers and a
config (${sizes}); each measurement with an empty cache. Clients, in ${clientProcesses} process${clientProcesses === 1 ? '' : 'es'} of their own, pull as containerd does
(HEAD, GET, three blobs at once); all check lengths, ${verify} of them digests. A pull counts as unfinished after ${formatDuration(capMs)}.${compared}`;
}

function identity(titles: ReadonlyMap<string, string>): Column<Row>[] {
  return [
    { title: 'Clients', align: 'right', cell: ({ clients }) => String(clients) },
    { title: 'Through', cell: ({ subject }) => titles.get(subject) ?? subject },
    { title: 'Image', align: 'right', cell: ({ imageBytes }) => formatSize(imageBytes) },
  ];
}

function pullColumns(titles: ReadonlyMap<string, string>): Column<Row>[] {
  const times = (figure: (row: Row) => Spread) => (row: Row) => {
    const atLeast = row.isComplete ? '' : '>= ';
    return atLeast + spreadText(figure(row), (value) => value.toFixed(3), 'x');
  };
  return [
    ...identity(titles),
    { title: 'Upstream bytes', align: 'right', cell: times(({ bytesRatio }) => bytesRatio) },
    { title: 'Slowest pull', align: 'right', cell: times(({ slowestRatio }) => slowestRatio) },
    { title: 'Median pull', align: 'right', cell: times(({ medianRatio }) => medianRatio) },
    {
      title: 'First byte',
      align: 'right',
      cell: (row) =>
        `${formatDuration(row.firstByteMedianMs.median)}, ${formatDuration(row.firstByteSlowestMs.median)}`,
    },
    {
      title: 'Failed',
      align: 'right',
      cell: ({ failed, unfinished }) => (unfinished === 0 ? String(failed) : `${failed}, ${unfinished} unfinished`),
    },
  ];
}

function requestColumns(titles: ReadonlyMap<string, string>): Column<Row>[] {
  const figures = [
    ['HEAD manifest', 'headManifest'],
    ['GET manifest', 'getManifest'],
    ['HEAD blob', 'headBlob'],
    ['GET blob', 'getBlob'],
    ['Bodies of one blob', 'maxBodiesPerBlob'],
    ['At once', 'maxConcurrentBodiesPerBlob'],
  ] as const;
  return [
    ...identity(titles),
    ...figures.map(([title, name]): Column<Row> => {
      return { title, align: 'right', cell: ({ upstream }) => String(upstream[name]) };
    }),
  ];
}

function cpuColumns(titles: ReadonlyMap<string, string>): Column<Row>[] {
  const cores = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(2));
  const memory = (bytes: number | undefined) => (bytes === undefined ? '-' : formatSize(bytes));
  return [
    ...identity(titles),
    { title: 'Clients, cores', align: 'right', cell: ({ cpu }) => cores(cpu.clients) },
    { title: 'Cache, cores', align: 'right', cell: ({ cpu }) => cores(cpu.subject) },
    { title: 'Machine, cores', align: 'right', cell: ({ cpu }) => cores(cpu.machine) },
    { title: 'Cache, peak memory', align: 'right', cell: ({ peakMemoryBytes }) => memory(peakMemoryBytes) },
  ];
}

interface LatencyRow {
  readonly what: string;
  readonly values: readonly number[];
}

const latencyColumns: readonly Column<LatencyRow>[] = [
  { title: 'Latency', cell: ({ what }) => what },
  ...(
    [
      ['p50', 0.5],
      ['p90', 0.9],
      ['p99', 0.99],
      ['max', 1],
    ] as const
  ).map(([title, share]): Column<LatencyRow> => {
    return { title, align: 'right', cell: ({ values }) => `${quantile(values, share).toFixed(2)} ms` };
  }),
  { title: 'Samples', align: 'right', cell: ({ values }) => String(values.length) },
];

function latencyRows(latencies: readonly LatencySample[]): LatencyRow[] {
  const waiters = Math.max(...latencies.map((sample) => sample.waiters));
  return [
    { what: `a new piece to each of ${waiters} waiters`, values: latencies.flatMap(({ waiterMs }) => waiterMs) },
    {
      what: `a range of ${formatSize(latencySetup.rangeBytes)} that is on disk`,
      values: latencies.flatMap(({ rangeMs }) => rangeMs),
    },
  ];
}

/** What a latency cannot be less than is seen here; what exceeds both is the disk, or another program's time slice. */
function pausesText(latencies: readonly LatencySample[]): string {
  const list = (figure: (sample: LatencySample) => number) =>
    latencies.map((sample) => figure(sample).toFixed(0)).join(', ');
  return `clients ${list(({ pauses }) => pauses.clientsMs)} ms, cache ${list(({ pauses }) => pauses.cacheMs)} ms`;
}

function requestsText({ headManifest, getManifest, headBlob, getBlob, bodyBytes }: WarmSample['fresh']): string {
  const others = getManifest + headBlob + getBlob;
  return `${headManifest} HEAD and ${others} other requests to upstream (${bodyBytes} body bytes)`;
}
