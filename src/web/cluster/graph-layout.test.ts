import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cluster, digestFor } from '../../../test/web/states.ts';
import type { ClusterSnapshot } from '../../pull/cluster-snapshot.ts';
import { feedGraphs, feedWords, upstreamId } from './graph-layout.ts';

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
  assert.equal(words[0], 'edge-1 (this node) reads from upstream, has 80 %');
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
