import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cluster, digestFor } from '../../../test/web/states.ts';
import type { ClusterSnapshot } from '../../pull/cluster-snapshot.ts';
import { feedGraphs, feedWords, knownMembers, upstreamId } from './graph-layout.ts';

type Member = ClusterSnapshot['members'][number];
type FillPlace = NonNullable<ClusterSnapshot['shares'][number]['place']>;

function withParents(parents: Readonly<Record<string, readonly string[]>>): ClusterSnapshot {
  const fill = (id: string) => ({
    digest: digestFor('blob'),
    sizeBytes: 100,
    filledBytes: 40,
    leads: false,
    parents: parents[id] ?? [],
  });
  const member = (id: string) => ({
    node: { id, name: id, zone: undefined, address: 'http://10.0.0.1:1', protocol: 1, version: '1' },
    load: { children: 0, fills: id in parents ? [fill(id)] : [] },
    silentMs: 0,
  });
  const ids = ['a', 'b', 'c'];
  return {
    node: 'a',
    engine: { address: '10.0.0.5:6379', prefix: 'onepull', isUp: true, sinceMs: 0, error: undefined },
    children: 0,
    shares: 'a' in parents ? [fill('a')] : [],
    members: ids.map(member),
  };
}

test('who leads is next to upstream, and each node to the right of whom it reads from', () => {
  const [graph] = feedGraphs(cluster());
  assert.ok(graph);
  const place = new Map(graph.nodes.map(({ id, x }) => [id, x]));
  assert.equal(new Set(graph.nodes.map(({ x, y }) => `${x} ${y}`)).size, graph.nodes.length, 'nothing overlaps');
  for (const { from, to } of graph.edges) {
    if (from !== upstreamId) assert.ok((place.get(from) ?? 0) < (place.get(to) ?? 0), `${from} before ${to}`);
  }
  assert.deepEqual(
    graph.edges.filter(({ from }) => from === upstreamId).map(({ to }) => to),
    ['edge-1'],
  );
  assert.deepEqual(
    graph.edges.filter(({ isFar }) => isFar).map(({ from, to }) => `${from} ${to}`),
    ['edge-2 edge-4', 'edge-2 edge-5', 'edge-3 edge-6', 'edge-2 edge-6'],
  );
});

test('the graph is told in words, too', () => {
  const [graph] = feedGraphs(cluster());
  assert.ok(graph);
  const words = feedWords(graph);
  assert.equal(words[0], 'edge-1 (this node) leads: reads from upstream, has 80 %');
  assert.equal(
    words.find((one) => one.startsWith('edge-6')),
    'edge-6 reads from edge-3 and edge-2, has 30 %',
  );
});

test('a node that feeds others without filling has all of it', () => {
  const [graph] = feedGraphs(withParents({ a: ['c'] }));
  assert.ok(graph);
  assert.equal(graph.nodes.find(({ id }) => id === 'c')?.share, 1);
  assert.ok(feedWords(graph).includes('c has all of it'));
});

test('nodes that say they read from each other are drawn all the same', () => {
  const [graph] = feedGraphs(withParents({ a: ['b'], b: ['a'] }));
  assert.equal(graph?.nodes.length, 2);
});

test('a fill of one node alone is nothing that is shared', () => {
  assert.deepEqual(feedGraphs(withParents({ a: [] })), []);
});

test('a node that asks upstream by itself is drawn so, and one that waits for the leader says so', () => {
  const snapshot = withParents({ a: [], b: [], c: [] });
  const [a, b, c] = snapshot.members as [Member, Member, Member];
  const placed = ({ node, load, silentMs }: Member, place: FillPlace) => {
    return { node, silentMs, load: { ...load, fills: load.fills.map((fill) => ({ ...fill, place })) } };
  };
  const [graph] = feedGraphs({
    ...snapshot,
    node: '',
    members: [placed(a, 'alone'), placed(b, 'waits'), placed(c, 'asking')],
  });
  assert.ok(graph);
  assert.deepEqual(graph.edges, [{ from: upstreamId, to: 'a', isFar: false }]);
  assert.deepEqual(feedWords(graph), [
    'a reads from upstream by itself, has 40 %',
    'b waits for the node that leads, has 40 %',
    'c asks whom it may read from, has 40 %',
  ]);
});

test('of a node that was not heard of it is not said that it has all', () => {
  const snapshot = withParents({ a: ['gone#5f1c02aa'] });
  const [graph] = feedGraphs(snapshot);
  assert.ok(graph);
  assert.deepEqual(feedWords(graph), ['gone was not heard of lately', 'a (this node) reads from gone, has 40 %']);
});

test('what this node does is told as it is now, not as of its last beat', () => {
  const snapshot = withParents({ a: ['b'], b: [] });
  const shares = snapshot.shares.map((fill) => ({ ...fill, filledBytes: 90 }));
  const [self, other] = knownMembers({ ...snapshot, children: 7, shares });
  assert.deepEqual([self?.load.children, self?.load.fills[0]?.filledBytes], [7, 90]);
  assert.deepEqual([other?.load.children, other?.load.fills[0]?.filledBytes], [0, 40]);
});

test('of a node that has been silent it is said how old its figure is', () => {
  const snapshot = withParents({ a: ['b'], b: [] });
  const members = snapshot.members.map((member) => ({ ...member, silentMs: 5400 }));
  const [graph] = feedGraphs({ ...snapshot, members });
  assert.ok(graph);
  assert.deepEqual(feedWords(graph), [
    'b reads from nobody now, had 40 % 5\u00a0s ago',
    'a (this node) reads from b, has 40 %',
  ]);
});
