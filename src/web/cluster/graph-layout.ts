import type { ClusterSnapshot } from '../../pull/cluster-snapshot.ts';
import { nodeName } from '../format/names.ts';
import { span } from '../format/times.ts';

type Member = ClusterSnapshot['members'][number];
/** `unheard`: it is read from, and the engine does not say that it is there. Undefined: it was not told. */
type Place = ClusterSnapshot['shares'][number]['place'] | 'unheard';

export interface GraphNode {
  readonly id: string;
  readonly name: string;
  readonly isSelf: boolean;
  readonly leads: boolean;
  readonly place: Place;
  /** 0 to 1, of the fill; undefined: its size, or how much it has, is not known. */
  readonly share: number | undefined;
  /** Since it said so; undefined: it is as it is now, or was not said. */
  readonly agedMs: number | undefined;
  readonly x: number;
  readonly y: number;
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  /** Between zones. */
  readonly isFar: boolean;
}

/** One blob on its way among the nodes: upstream on the left, then each node to the right of whom it reads from. */
export interface FeedGraph {
  readonly digest: string;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** Nodes that are not drawn, because there are too many. */
  readonly leftOut: number;
  readonly width: number;
  readonly height: number;
}

/** Where upstream stands in the edges of a graph. */
export const upstreamId = '';

const column = 190;
const row = 46;
const margin = 24;
const mostNodes = 40;

interface Fill {
  readonly id: string;
  readonly name: string;
  readonly zone: string | undefined;
  readonly leads: boolean;
  readonly place: Place;
  readonly share: number | undefined;
  readonly agedMs: number | undefined;
  readonly parents: readonly string[];
}

/** The blobs that two nodes or more are filling, the most shared first. */
export function feedGraphs(cluster: ClusterSnapshot): FeedGraph[] {
  const byDigest = new Map<string, Fill[]>();
  for (const { node, load, silentMs } of knownMembers(cluster)) {
    for (const { digest, sizeBytes, filledBytes, leads, place, parents } of load.fills) {
      const share = sizeBytes === undefined ? undefined : sizeBytes === 0 ? 1 : filledBytes / sizeBytes;
      const fills = byDigest.get(digest) ?? [];
      byDigest.set(digest, fills);
      const agedMs = node.id === cluster.node ? undefined : silentMs;
      fills.push({ id: node.id, name: node.name, zone: node.zone, leads, place, share, agedMs, parents });
    }
  }
  return [...byDigest]
    .filter(([, fills]) => fills.length > 1 || fills.some(({ parents }) => parents.length > 0))
    .sort(([a, some], [b, others]) => others.length - some.length || a.localeCompare(b))
    .map(([digest, fills]) => layOut(digest, withHolders(fills, cluster), cluster.node));
}

/** The nodes as they were last heard of; what this node does is known better than it said at the last beat. */
export function knownMembers({ node: self, members, children, shares }: ClusterSnapshot): Member[] {
  return members.map((member) => (member.node.id === self ? { ...member, load: { children, fills: shares } } : member));
}

/** Who feeds others without filling has all of it; of who was not heard of nothing is known. */
function withHolders(fills: readonly Fill[], cluster: ClusterSnapshot): Fill[] {
  const known = new Set(fills.map(({ id }) => id));
  const nodes = new Map(cluster.members.map(({ node }) => [node.id, node]));
  const holders = [...new Set(fills.flatMap(({ parents }) => parents))].filter((id) => !known.has(id));
  const others = holders.map((id) => {
    const node = nodes.get(id);
    const common = { id, leads: false, agedMs: undefined, parents: [] };
    if (node === undefined)
      return { ...common, name: nodeName(id), zone: undefined, place: 'unheard' as const, share: undefined };
    return { ...common, name: node.name, zone: node.zone, place: undefined, share: 1 };
  });
  return [...others, ...fills];
}

function layOut(digest: string, fills: readonly Fill[], self: string): FeedGraph {
  const depths = depthsOf(fills);
  const depth = ({ id }: Fill) => depths.get(id) ?? 1;
  const shown = [...fills].sort((a, b) => depth(a) - depth(b) || a.name.localeCompare(b.name)).slice(0, mostNodes);
  const byId = new Map(shown.map((fill) => [fill.id, fill]));
  const columns = Map.groupBy(shown, depth);
  const tallest = Math.max(...[...columns.values()].map(({ length }) => length));
  const height = 2 * margin + (tallest - 1) * row + 24;
  const nodes = [...columns].flatMap(([across, placed]) => {
    const top = (height - (placed.length - 1) * row) / 2;
    return placed.map(({ id, name, leads, place, share, agedMs }, n) => {
      return {
        id,
        name,
        leads,
        place,
        share,
        agedMs,
        isSelf: id === self,
        x: margin + across * column,
        y: top + n * row,
      };
    });
  });
  const edges = shown.flatMap(({ id, zone, leads, place, parents }) => [
    ...(leads || place === 'alone' ? [{ from: upstreamId, to: id, isFar: false }] : []),
    ...parents.flatMap((parent) => {
      const from = byId.get(parent);
      return from === undefined ? [] : [{ from: parent, to: id, isFar: from.zone !== zone }];
    }),
  ]);
  const width = 2 * margin + Math.max(...columns.keys()) * column + 150;
  return { digest, nodes, edges, width, height, leftOut: fills.length - shown.length };
}

/** How many nodes a byte passes before it is there. What nodes say is never of one moment: it may even name a circle. */
function depthsOf(fills: readonly Fill[]): ReadonlyMap<string, number> {
  const byId = new Map(fills.map((fill) => [fill.id, fill]));
  const depths = new Map<string, number>();
  const visit = (id: string, seen: ReadonlySet<string>): number => {
    const known = depths.get(id);
    if (known !== undefined) return known;
    const parents = (byId.get(id)?.parents ?? []).filter((parent) => byId.has(parent) && !seen.has(parent));
    const depth = 1 + Math.max(0, ...parents.map((parent) => visit(parent, new Set([...seen, id]))));
    depths.set(id, depth);
    return depth;
  };
  for (const { id } of fills) visit(id, new Set([id]));
  return depths;
}

/** The same in words, for those who do not see it: a sentence for each node. */
export function feedWords({ nodes, edges }: FeedGraph): string[] {
  const names = new Map(nodes.map(({ id, name }) => [id, name]));
  return nodes.map((node) => {
    const sources = edges
      .filter(({ to }) => to === node.id)
      .map(({ from }) => (from === upstreamId ? 'upstream' : (names.get(from) ?? from)));
    const has = node.share === undefined ? '' : `, ${shareWords(node.share, node.agedMs)}`;
    const self = node.isSelf ? ' (this node)' : '';
    if (sources.length === 0 && node.share === 1) return `${node.name}${self} has all of it`;
    return `${node.name}${self} ${doingWords(node, sources)}${has}`;
  });
}

/** Nodes say about once a second how far they are: what is older than that is told with its age. */
export function isAged(agedMs: number | undefined): agedMs is number {
  return agedMs !== undefined && agedMs >= 2000;
}

function shareWords(share: number, agedMs: number | undefined): string {
  const percent = `${Math.floor(share * 100)} %`;
  return isAged(agedMs) ? `had ${percent} ${span(agedMs)} ago` : `has ${percent}`;
}

function doingWords({ leads, place }: GraphNode, sources: readonly string[]): string {
  if (sources.length > 0) {
    const reads = `reads from ${sources.join(' and ')}`;
    if (leads) return `leads: ${reads}`;
    return place === 'alone' ? `${reads} by itself` : reads;
  }
  if (place === 'unheard') return 'was not heard of lately';
  if (place === 'waits') return 'waits for the node that leads';
  if (place === 'asking') return 'asks whom it may read from';
  return 'reads from nobody now';
}
