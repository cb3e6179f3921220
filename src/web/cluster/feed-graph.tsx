import { counted, percent } from '../format/amounts.ts';
import { shortDigest } from '../format/names.ts';
import { span } from '../format/times.ts';
import { type FeedGraph, feedWords, type GraphNode, isAged, upstreamId } from './graph-layout.ts';

const upstreamX = 24;

interface FeedGraphProps {
  readonly graph: FeedGraph;
  /** The images that it belongs to, where they are known here. */
  readonly images: readonly string[];
}

export function FeedGraphFigure({ graph, images }: FeedGraphProps) {
  const { width, height, nodes, edges, digest, leftOut } = graph;
  const places = new Map(nodes.map((node) => [node.id, node]));
  const middle = height / 2;
  return (
    <figure class="panel feed">
      <figcaption>
        <code title={digest}>{shortDigest(digest)}</code> {images.length > 0 && <span>of {images.join(', ')}</span>}
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <section class="feed-frame" tabIndex={0} aria-label={`graph of ${shortDigest(digest)}`}>
        <svg
          viewBox={`0 0 ${width} ${height}`}
          width={width}
          height={height}
          role="img"
          aria-label={feedWords(graph).join('; ')}
        >
          {edges.map(({ from, to, isFar }) => {
            const end = places.get(to);
            const start = from === upstreamId ? { x: upstreamX + 66, y: middle } : right(places.get(from));
            if (end === undefined || start === undefined) return null;
            const bend = (start.x + end.x) / 2;
            return (
              <path
                key={`${from} ${to}`}
                class={`feed-edge${from === upstreamId ? ' feed-edge-up' : ''}${isFar ? ' feed-edge-far' : ''}`}
                d={`M${start.x} ${start.y}C${bend} ${start.y} ${bend} ${end.y} ${end.x} ${end.y}`}
              />
            );
          })}
          <text class="feed-upstream" x={upstreamX} y={middle + 4}>
            upstream
          </text>
          {nodes.map((node) => (
            <Node key={node.id} node={node} />
          ))}
        </svg>
      </section>
      {leftOut > 0 && <p class="feed-note">and {counted(leftOut, 'more node')}</p>}
      {edges.some(({ isFar }) => isFar) && <p class="feed-note">A broken line leads from one zone to another.</p>}
      <details>
        <summary>The same in words</summary>
        <ul>
          {feedWords(graph).map((words) => (
            <li key={words}>{words}</li>
          ))}
        </ul>
      </details>
    </figure>
  );
}

const nodeWidth = 140;

function Node({ node: { x, y, name, share, agedMs, isSelf, leads } }: { readonly node: GraphNode }) {
  return (
    <g class={`feed-node${isSelf ? ' is-self' : ''}${leads ? ' leads' : ''}`} transform={`translate(${x} ${y})`}>
      <rect x="0" y="-16" width={nodeWidth} height="32" rx="4" />
      <rect class="feed-share" x="0" y="12" width={nodeWidth * Math.min(1, share ?? 0)} height="4" rx="2" />
      <text x="10" y="4">
        {name.length > 12 ? `${name.slice(0, 11)}…` : name}
      </text>
      <text class="feed-percent" x={nodeWidth - 8} y="4" text-anchor="end">
        {share === undefined ? '?' : percent(share, 1)}
      </text>
      <title>{isAged(agedMs) ? `${name}, as it said ${span(agedMs)} ago` : name}</title>
    </g>
  );
}

function right(node: GraphNode | undefined): { readonly x: number; readonly y: number } | undefined {
  return node && { x: node.x + nodeWidth, y: node.y };
}
