import { formatDuration, formatSize } from '../core/units.ts';
import type { ClusterAnswer } from './admin-answers.ts';
import * as answers from './admin-answers.ts';
import { AdminClient } from './admin-client.ts';
import { type AdminOptions, exitCodes } from './options.ts';
import { printJson, printLines } from './printing.ts';
import { terminalOn } from './terminal.ts';
import { type Line, piece, tableLines } from './text-line.ts';

/** Asks a running instance's admin API who shares its pulls, and prints it. Exit code 1: it cannot be asked, or is alone. */
export async function clusterStatus(options: AdminOptions): Promise<number> {
  const client = await AdminClient.for(options, process.env);
  const { cluster } = await client.get('/api/v1/cluster', answers.clusterAnswer);
  if (options.json) printJson(cluster);
  else printLines(terminalOn(process.stdout, process.env), cluster === null ? alone : statusLines(cluster));
  return cluster === null ? exitCodes.failed : exitCodes.ok;
}

const alone: readonly Line[] = [[piece('This node is alone: no cluster.engine is configured.')]];

/** For people. */
export function statusLines({ node, engine, members, children, shares }: ClusterAnswer): Line[] {
  const since = engine.sinceMs === undefined ? '' : ` since ${new Date(engine.sinceMs).toISOString()}`;
  const state = engine.isUp ? `up${since}` : `down${since}: ${engine.error ?? ''}`;
  const where = engine.address === undefined ? '' : ` at ${engine.address}, keys ${engine.prefix ?? ''}:`;
  const rows = members.map(({ node: { id, zone, address, version }, load, silentMs }) => [
    `${id}${id === node ? ' (this one)' : ''}`,
    zone ?? '-',
    address,
    version,
    String(load.fills.filter(({ leads }) => leads).length),
    String(load.fills.filter(({ parents }) => parents.length > 0).length),
    String(load.children),
    formatDuration(Math.round(silentMs)),
  ]);
  const head = ['NODE', 'ZONE', 'PEERS AT', 'VERSION', 'LEADS', 'FOLLOWS', 'SENDS', 'HEARD'];
  const all = members.flatMap(({ node: { id }, load }) => load.fills.map((fill) => ({ id, ...fill })));
  const fills = all.length > 0 ? all : shares.map((fill) => ({ id: node, ...fill }));
  const digests = [...new Set(fills.map(({ digest }) => digest))];
  return [
    [piece('engine   '), piece(state, engine.isUp ? 'green' : 'red'), piece(where, 'dim')],
    [piece(`sends    ${children} bodies to other nodes`)],
    [],
    ...tableLines([head.map((text) => piece(text, 'dim')), ...rows.map((row) => row.map((cell) => piece(cell)))]),
    ...digests.flatMap((digest) => [[], [piece(digest)], ...fillLines(fills.filter((fill) => fill.digest === digest))]),
  ];
}

type Fill = ClusterAnswer['shares'][number] & { readonly id: string };

function placeText({ leads, place, parents }: Pick<Fill, 'leads' | 'place' | 'parents'>): string {
  if (leads) return 'leads';
  if (parents.length > 0) return `from ${parents.join(', ')}`;
  return place ?? '-';
}

/** Who has how much of one blob, and from where. */
function fillLines(fills: readonly Fill[]): Line[] {
  const most = Math.max(...fills.map(({ filledBytes }) => filledBytes));
  const rows = fills.map(({ id, filledBytes, sizeBytes, ...fill }) => [
    piece(id),
    piece(placeText(fill)),
    piece(`${formatSize(filledBytes)}${sizeBytes === undefined ? '' : ` of ${formatSize(sizeBytes)}`}`),
    piece(most > filledBytes ? `${formatSize(most - filledBytes)} behind` : ''),
  ]);
  return tableLines(rows, { indent: 2 });
}
