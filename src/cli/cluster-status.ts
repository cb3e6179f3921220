import { formatDuration, formatSize } from '../core/units.ts';
import type { ClusterAnswer } from './admin-answers.ts';
import * as answers from './admin-answers.ts';
import { AdminClient } from './admin-client.ts';
import { type AdminOptions, exitCodes } from './options.ts';
import { printJson, printLines } from './printing.ts';
import { count } from './status-text.ts';
import { terminalOn } from './terminal.ts';
import { type Line, piece, tableLines } from './text-line.ts';

/** Asks a running instance's admin API who shares its pulls, and prints it. Exit code 1: it cannot be asked, or is alone. */
export async function clusterStatus(options: AdminOptions): Promise<number> {
  const client = await AdminClient.for(options, process.env);
  const { cluster } = await client.get('/api/v1/cluster', answers.clusterAnswer);
  if (options.json) printJson(cluster ?? aloneJson);
  else printLines(terminalOn(process.stdout, process.env), cluster === null ? alone : statusLines(cluster));
  return cluster === null ? exitCodes.failed : exitCodes.ok;
}

const alone: readonly Line[] = [[piece('This node is alone: no cluster.engine is configured.')]];
/** In the form that others have, so that who reads `.members[]` finds nobody instead of failing. */
const aloneJson = { engine: null, children: 0, shares: [], members: [] };

/** For people. What this node does is told as it is now, what others do as they told last. */
export function statusLines({ node, engine, members, children, shares }: ClusterAnswer): Line[] {
  const since = engine.sinceMs === undefined ? '' : ` since ${new Date(engine.sinceMs).toISOString()}`;
  const state = engine.isUp ? `up${since}` : `down${since}: ${engine.error ?? ''}`;
  const where = engine.address === undefined ? '' : ` at ${engine.address}, keys ${engine.prefix ?? ''}:`;
  const known = members.map((member) =>
    member.node.id === node ? { ...member, load: { ...member.load, children, fills: shares } } : member,
  );
  const rows = known.map(({ node: { id, zone, address, version }, load, silentMs }) => [
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
  const all = known.flatMap(({ node: { id }, load, silentMs }) =>
    load.fills.map((fill) => ({ ...fill, id, agedMs: id === node ? undefined : silentMs })),
  );
  const fills = all.length > 0 ? all : shares.map((fill) => ({ ...fill, id: node, agedMs: undefined }));
  const digests = [...new Set(fills.map(({ digest }) => digest))];
  return [
    [piece('engine   '), piece(state, engine.isUp ? 'green' : 'red'), piece(where, 'dim')],
    [piece(`sends    ${count(children, 'body', 'bodies')} to other nodes`)],
    [],
    ...tableLines([head.map((text) => piece(text, 'dim')), ...rows.map((row) => row.map((cell) => piece(cell)))]),
    ...digests.flatMap((digest) => [[], [piece(digest)], ...fillLines(fills.filter((fill) => fill.digest === digest))]),
  ];
}

interface Fill
  extends Pick<ClusterAnswer['shares'][number], 'leads' | 'place' | 'parents' | 'filledBytes' | 'sizeBytes'> {
  readonly id: string;
  /** Since the node told it; undefined: it is as it is now. */
  readonly agedMs: number | undefined;
}

function placeText({ leads, place, parents }: Fill): string {
  if (leads) return 'leads';
  if (parents.length > 0) return `from ${parents.join(', ')}`;
  return place ?? '-';
}

/**
 * Who has how much of one blob, and from where: who leads first. Nodes tell once a second, each at its own time, so that who
 * follows may have been heard to have more than whom it follows: that is not told as a difference.
 */
function fillLines(fills: readonly Fill[]): Line[] {
  const filled = new Map(fills.map(({ id, filledBytes }) => [id, filledBytes]));
  const rows = fills
    .toSorted((one, other) => Number(other.leads) - Number(one.leads))
    .map((fill) => {
      const { id, leads, parents, filledBytes, sizeBytes, agedMs } = fill;
      const behindBytes = leads ? 0 : Math.max(0, ...parents.map((parent) => (filled.get(parent) ?? 0) - filledBytes));
      return [
        piece(id),
        piece(placeText(fill)),
        piece(`${formatSize(filledBytes)}${sizeBytes === undefined ? '' : ` of ${formatSize(sizeBytes)}`}`),
        piece(behindBytes > 0 ? `${formatSize(behindBytes)} behind` : ''),
        piece(agedMs === undefined ? 'now' : `${formatDuration(Math.round(agedMs))} ago`, 'dim'),
      ];
    });
  return tableLines(rows, { indent: 2 });
}
