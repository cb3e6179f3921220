import { formatSize } from '../../src/core/units.ts';
import { type Machine, machineText } from '../support/machine.ts';
import { type Column, markdownTable } from '../support/markdown-table.ts';
import { type Spread, spreadText } from '../support/statistics.ts';
import { type Verdict, verdictText } from '../support/verdict.ts';
import type { UpkeepSample } from './measure-store.ts';
import type { Parameters } from './parameters.ts';
import type { ClientsRow, HitRow, SizeRow } from './summary.ts';

export interface ReportInput {
  readonly machine: Machine;
  readonly parameters: Parameters;
  readonly sizes: readonly SizeRow[];
  readonly upkeep: readonly UpkeepSample[];
  readonly clients: readonly ClientsRow[];
  readonly verdicts: readonly Verdict[];
}

/** The whole result as Markdown. */
export function growthReport({ machine, parameters, sizes, upkeep, clients, verdicts }: ReportInput): string {
  const { rounds, connections, loadMs, hotImages, hotBlobBytes } = parameters;
  const commit = machine.commit === undefined ? '' : `, commit ${machine.commit}`;
  return `# Growth

![What grows with the cache, and with its clients](growth.svg)

Made by \`${machine.command}\` on ${machine.date} UTC${commit}: ${machineText(machine)}.
Medians of ${rounds} rounds, with the smallest and the largest; caches and clients share the machine.

## As the cache grows

An image is ten blobs of some hundred bytes and has one tag. "Ready": from the start of the process to \`/readyz\`;
"first hit": to the answer to a tag; "pause": the longest of the event loop while hits were measured.

${markdownTable(sizeColumns, sizes)}

${connections} connections, ${loadMs / 1000} s each, right after the start. "Hot": ${hotImages} images all over again; "random": all images,
most of which are asked for the first time, read from the disk and hashed. Ratio: to the smallest cache of the same round.
There is no access log here, and no upstream: whatever is not a hit fails.

${markdownTable(hitColumns, hitLines(sizes))}

The store alone, asked for content at random over the whole cache: has a repository this digest, where does this tag
point, how large is this blob; a page of 100 names of \`_catalog\`; \`index.json\` written whole.

${markdownTable(storeColumns, sizes)}

Once for each cache: ready after a kill -9, the walk over all files that follows it (beside it clients are served, so it
takes a fifth of the time), the list of images (a page of 50, a search that goes through all names, and the order by
size when none is known, for which a page waits 5 s at most), and a full cache that lets images leave.

${markdownTable(upkeepColumns, upkeep)}

## As clients grow

All connections ask for one manifest, or for one blob of ${formatSize(hotBlobBytes)}, all over again. Fairness: bytes of the connection
that got the fewest over those of the one that got the most.

${markdownTable(clientColumns, clients)}

## Targets

${verdicts.map((verdict) => `- ${verdictText(verdict)}`).join('\n')}
`;
}

const whole = (value: number) => value.toFixed(0);
const ms = (figure: Spread) => spreadText(figure, whole, ' ms');
const fineMs = (figure: Spread) => spreadText(figure, (value) => value.toFixed(2), ' ms');
const us = (figure: Spread) => spreadText(figure, (value) => value.toFixed(1), ' us');
const times = (figure: Spread) => spreadText(figure, (value) => value.toFixed(2), 'x');
const rate = (figure: Spread) => spreadText(figure, whole, '/s');
const memory = ({ median }: Spread) => (Number.isNaN(median) ? '-' : formatSize(median));

const sizeColumns: readonly Column<SizeRow>[] = [
  { title: 'Blobs', align: 'right', cell: ({ blobs }) => String(blobs) },
  { title: 'Ready', align: 'right', cell: ({ readyMs }) => ms(readyMs) },
  { title: 'First hit', align: 'right', cell: ({ firstHitMs }) => ms(firstHitMs) },
  { title: 'Memory then', align: 'right', cell: ({ startBytes }) => memory(startBytes) },
  { title: 'Pause', align: 'right', cell: ({ longestPauseMs }) => ms(longestPauseMs) },
  { title: 'Stopped in', align: 'right', cell: ({ stopMs }) => ms(stopMs) },
];

interface HitLine extends HitRow {
  readonly blobs: number;
}

function hitLines(sizes: readonly SizeRow[]): HitLine[] {
  return sizes.flatMap(({ blobs, hits }) => hits.map((hit) => ({ ...hit, blobs })));
}

const askedNames = { digest: 'manifest by digest', tag: 'manifest by tag', blob: 'blob' } as const;

const hitColumns: readonly Column<HitLine>[] = [
  { title: 'Blobs', align: 'right', cell: ({ blobs }) => String(blobs) },
  { title: 'Asked for', cell: ({ asked, spread }) => `${askedNames[asked]}, ${spread}` },
  { title: 'Answers', align: 'right', cell: ({ perSecond }) => rate(perSecond) },
  { title: 'Ratio', align: 'right', cell: ({ rateRatio }) => times(rateRatio) },
  { title: 'p50', align: 'right', cell: ({ p50Ms }) => fineMs(p50Ms) },
  { title: 'p99', align: 'right', cell: ({ p99Ms }) => fineMs(p99Ms) },
  { title: 'Failed', align: 'right', cell: ({ failed }) => String(failed) },
];

const storeColumns: readonly Column<SizeRow>[] = [
  { title: 'Blobs', align: 'right', cell: ({ blobs }) => String(blobs) },
  { title: 'Three look-ups', align: 'right', cell: ({ lookUpUs }) => us(lookUpUs) },
  { title: 'Ratio', align: 'right', cell: ({ lookUpRatio }) => times(lookUpRatio) },
  { title: '100 names', align: 'right', cell: ({ repositoriesUs }) => us(repositoriesUs) },
  { title: 'index.json', align: 'right', cell: ({ indexMs }) => ms(indexMs) },
  { title: 'Its size', align: 'right', cell: ({ indexBytes }) => formatSize(indexBytes) },
  { title: 'Its longest pause', align: 'right', cell: ({ indexPauseMs }) => ms(indexPauseMs) },
];

const upkeepColumns: readonly Column<UpkeepSample>[] = [
  { title: 'Blobs', align: 'right', cell: ({ blobs }) => String(blobs) },
  { title: 'Ready after kill -9', align: 'right', cell: ({ readyAfterKillMs }) => `${whole(readyAfterKillMs)} ms` },
  { title: 'Walk', align: 'right', cell: ({ walk }) => `${(walk.ms / 1000).toFixed(1)} s` },
  { title: 'Its longest pause', align: 'right', cell: ({ walk }) => `${whole(walk.longestPauseMs)} ms` },
  { title: 'Page', align: 'right', cell: ({ list }) => `${list.page.ms.toFixed(1)} ms` },
  { title: 'Search', align: 'right', cell: ({ list }) => `${whole(list.search.ms)} ms` },
  { title: 'By size', align: 'right', cell: ({ list }) => `${whole(list.sizes.ms)} ms` },
  { title: 'Their longest pause', align: 'right', cell: ({ list }) => `${whole(listPauseMs(list))} ms` },
  { title: 'Blobs that left', align: 'right', cell: ({ eviction }) => String(eviction.blobs) },
  { title: 'Each', align: 'right', cell: ({ eviction }) => `${((eviction.ms / eviction.blobs) * 1000).toFixed(0)} us` },
  { title: 'Longest pause', align: 'right', cell: ({ eviction }) => `${whole(eviction.longestPauseMs)} ms` },
];

function listPauseMs(list: UpkeepSample['list']): number {
  return Math.max(...Object.values(list).map(({ longestPauseMs }) => longestPauseMs));
}

const clientColumns: readonly Column<ClientsRow>[] = [
  { title: 'Connections', align: 'right', cell: ({ connections }) => String(connections) },
  { title: 'Content', cell: ({ content }) => content },
  { title: 'Answers', align: 'right', cell: ({ perSecond }) => rate(perSecond) },
  { title: 'Bytes', align: 'right', cell: ({ bytesPerSecond: { median } }) => `${(median / 1e6).toFixed(0)} MB/s` },
  { title: 'p50', align: 'right', cell: ({ p50Ms }) => fineMs(p50Ms) },
  { title: 'p99', align: 'right', cell: ({ p99Ms }) => fineMs(p99Ms) },
  { title: 'Fairness', align: 'right', cell: ({ fairness }) => times(fairness) },
  { title: 'Memory', align: 'right', cell: ({ residentBytes }) => memory(residentBytes) },
  { title: 'Failed', align: 'right', cell: ({ failed, errors }) => [failed, ...errors].join(': ') },
];
