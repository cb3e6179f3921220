import { formatSize } from '../../src/core/units.ts';
import { type Machine, machineText } from '../support/machine.ts';
import { type Column, markdownTable } from '../support/markdown-table.ts';
import { type Spread, spreadText } from '../support/statistics.ts';
import { type Verdict, verdictText } from '../support/verdict.ts';
import { subjectTitles } from './chart.ts';
import type { EngineState } from './measure-costs.ts';
import { layerSizes, type Parameters } from './parameters.ts';
import type { ScaleRates } from './run.ts';
import type { CrowdRow, HitRow, MissRow, SpreadRow, Summary } from './summary.ts';

export interface ReportInput {
  readonly machine: Machine;
  readonly parameters: Parameters;
  readonly rates: readonly ScaleRates[];
  readonly summary: Summary;
  readonly absent: readonly string[];
  readonly verdicts: readonly Verdict[];
}

/** The whole result as Markdown. */
export function clusterReport(input: ReportInput): string {
  const { machine, parameters, summary, absent, verdicts } = input;
  const commit = machine.commit === undefined ? '' : `, commit ${machine.commit}`;
  return `# Many nodes, one upstream pull
${summary.spreads.length === 0 ? '' : '\n![Time, upstream bytes and load over the number of nodes](cluster.svg)\n'}
Made by \`${machine.command}\` on ${machine.date} UTC${commit}: ${machineText(machine)}.
Medians of the rounds, smallest and largest in parentheses. All nodes, clients, engine and upstream share the machine.
${absent.map((line) => `\n${line}.\n`).join('')}${spreadPart(input)}${crowdPart(parameters, summary.crowds)}${costPart(parameters, summary)}
## Targets

${verdicts.map((verdict) => `- ${verdictText(verdict)}`).join('\n')}
`;
}

function spreadPart({ parameters, rates, summary, machine }: ReportInput): string {
  const { imageBytes, rounds, peerRounds, slowRounds } = parameters;
  if (summary.spreads.length === 0) return '';
  return `
## One image on many nodes

${linesText(parameters, rates)}
An image of ${imageBytes / 1e6} MB in ${layerSizes(imageBytes).length} layers, which a client on each node's host pulls at the same moment as containerd does, and
hashes. "Bound": the larger of S/Bs, S/B and N*S/(Bs+N*B), with S the image, Bs upstream's rate and B a node's, as measured.
Rounds: ${rounds} of the cluster, ${peerRounds} of the others, ${slowRounds} on slower lines. Nodes are new for each measurement, and have pulled another image first.
"Most sent": the host that sent most, over the image; frames with all their headers, which add some 5 %.

${markdownTable(spreadColumns, summary.spreads)}

Cores: CPU time over wall time of all onepulls together, of all clients, and of everything on the machine (of ${machine.cores}), other
programs included. A machine near all of its cores means that its CPU, not lines or protocol, is what was waited for: then the
rows with slower lines tell about the protocol.
`;
}

function linesText({ links }: Parameters, rates: readonly ScaleRates[]): string {
  const lines = rates.map(({ scale, upstreamBytesPerSecond, nodeBytesPerSecond }) => {
    const bits = (value: number) => `${value / scale / 1e6} Mbit/s`;
    const bytes = (value: number) => `${(value / 1e6).toFixed(2)} MB/s`;
    const upstream = `upstream ${bits(links.upstreamBitsPerSecond)} (measured: Bs = ${bytes(upstreamBytesPerSecond)})`;
    const which = scale === 1 ? 'Lines' : `Slower lines, "1/${scale}"`;
    return `${which}: ${upstream}, each node ${bits(links.nodeBitsPerSecond)} (B = ${bytes(nodeBytesPerSecond)}), in each direction.`;
  });
  return lines.join('\n');
}

function crowdPart({ crowd }: Parameters, rows: readonly CrowdRow[]): string {
  if (rows.length === 0) return '';
  return `
## Clients of several nodes

${crowd.nodes} nodes on loopback with ${crowd.clientsPerNode} clients each; upstream has a line of ${crowd.lineBytesPerSecond / 1e6} MB/s. Over one client that pulls the
same image from upstream in the same round.

${markdownTable(crowdColumns, rows)}
`;
}

function costPart({ costs }: Parameters, { misses, hits }: Summary): string {
  if (misses.length === 0) return '';
  return `
## What coordination costs

One node in a cluster of two and one on its own are asked in turns, over loopback, for what neither has: blobs of ${formatSize(costs.blobBytes)}, and
manifests by tag; ${costs.rounds} rounds of ${costs.misses}, one after the other. While the engine does not answer: ${costs.absentMisses}, with a pause of ${costs.pauseMs} ms after
each, since it is tried again once a second. "Added": of each round, the difference of the medians and of the 99th percentiles.

${markdownTable(missColumns, misses)}

The same for what both have, at ${costs.hitConnections} connections. "Engine calls": for 1,000 hits, beyond those of as long a time without a request.

${markdownTable(hitColumns, hits)}
`;
}

const seconds = (figure: Spread) => spreadText(figure, (value) => value.toFixed(2), ' s');
const times = (figure: Spread, digits = 2) => spreadText(figure, (value) => value.toFixed(digits), 'x');
const ms = (value: number) => `${value.toFixed(2)} ms`;

const spreadColumns: readonly Column<SpreadRow>[] = [
  { title: 'Nodes', align: 'right', cell: ({ nodes }) => String(nodes) },
  { title: 'Lines', cell: ({ scale }) => (scale === 1 ? '1' : `1/${scale}`) },
  { title: 'Through', cell: ({ subject }) => subjectTitles[subject] },
  { title: 'Bound', align: 'right', cell: ({ boundSeconds }) => `${boundSeconds.toFixed(2)} s` },
  { title: 'Last', align: 'right', cell: ({ lastSeconds }) => seconds(lastSeconds) },
  { title: 'Last / bound', align: 'right', cell: ({ lastRatio }) => times(lastRatio) },
  { title: 'Median', align: 'right', cell: ({ medianSeconds }) => seconds(medianSeconds) },
  { title: 'Upstream bytes', align: 'right', cell: ({ bytesRatio }) => times(bytesRatio, 3) },
  { title: 'Most sent', align: 'right', cell: ({ mostSentRatio }) => times(mostSentRatio) },
  {
    title: 'Cores: onepull, clients, machine',
    align: 'right',
    cell: ({ cores }) => `${cores.nodes.toFixed(2)}, ${cores.clients.toFixed(2)}, ${cores.machine.median.toFixed(2)}`,
  },
  {
    title: 'Failed',
    align: 'right',
    cell: ({ failed, unfinished }) => (unfinished === 0 ? String(failed) : `${failed}, ${unfinished} unfinished`),
  },
];

const crowdColumns: readonly Column<CrowdRow>[] = [
  { title: 'Clients', align: 'right', cell: ({ clients }) => String(clients) },
  { title: 'Image', align: 'right', cell: ({ imageBytes }) => formatSize(imageBytes) },
  { title: 'Slowest / direct', align: 'right', cell: ({ slowestRatio }) => times(slowestRatio, 3) },
  { title: 'Upstream bytes', align: 'right', cell: ({ bytesRatio }) => times(bytesRatio, 4) },
  { title: 'Bodies of one blob', align: 'right', cell: ({ maxBodiesPerBlob }) => String(maxBodiesPerBlob) },
  { title: 'GETs of one manifest', align: 'right', cell: ({ maxGetPerManifest }) => String(maxGetPerManifest) },
  { title: 'Machine, cores', align: 'right', cell: ({ machineCores }) => machineCores.toFixed(2) },
  { title: 'Failed', align: 'right', cell: ({ failed, errors }) => [failed, ...errors].join(': ') },
];

const engineNames: Readonly<Record<EngineState, string>> = {
  well: 'answers',
  hangs: 'hangs (SIGSTOP)',
  gone: 'is gone',
};

const missColumns: readonly Column<MissRow>[] = [
  { title: 'The engine', cell: ({ engine }) => engineNames[engine] },
  { title: 'Missed', cell: ({ kind }) => kind },
  { title: 'Alone, median', align: 'right', cell: ({ alone }) => ms(alone.medianMs) },
  { title: 'p99', align: 'right', cell: ({ alone }) => ms(alone.p99Ms) },
  { title: 'In a cluster, median', align: 'right', cell: ({ shared }) => ms(shared.medianMs) },
  { title: 'p99', align: 'right', cell: ({ shared }) => ms(shared.p99Ms) },
  { title: 'max', align: 'right', cell: ({ shared }) => ms(shared.mostMs) },
  { title: 'Added, median', align: 'right', cell: (row) => spreadText(row.addedMedianMs, (v) => v.toFixed(2), ' ms') },
  { title: 'p99', align: 'right', cell: (row) => spreadText(row.addedP99Ms, (v) => v.toFixed(2), ' ms') },
];

const hitColumns: readonly Column<HitRow>[] = [
  { title: 'Hits', cell: ({ kind }) => kind },
  { title: 'Alone', align: 'right', cell: ({ alonePerSecond }) => rate(alonePerSecond) },
  { title: 'In a cluster', align: 'right', cell: ({ sharedPerSecond }) => rate(sharedPerSecond) },
  { title: 'Ratio', align: 'right', cell: ({ rateRatio }) => times(rateRatio) },
  { title: 'Engine calls', align: 'right', cell: ({ callsPerThousand }) => callsPerThousand.toFixed(3) },
];

function rate(figure: Spread): string {
  return spreadText(figure, (value) => value.toFixed(0), '/s');
}
