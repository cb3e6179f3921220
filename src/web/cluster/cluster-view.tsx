import { useMemo } from 'preact/hooks';
import type { ClusterSnapshot } from '../../pull/cluster-snapshot.ts';
import { count, counted } from '../format/amounts.ts';
import { span } from '../format/times.ts';
import { More } from '../parts/more.tsx';
import { live, serverNowMs } from '../state/store.ts';
import { FeedGraphFigure } from './feed-graph.tsx';
import { feedGraphs, knownMembers } from './graph-layout.ts';

export function ClusterView() {
  const { cluster, pulls } = live.value;
  if (cluster === undefined) return <p class="nothing">Not told yet.</p>;
  if (cluster === null) {
    return (
      <p class="nothing">
        This node is alone: no <code>cluster.engine</code> is configured. Nodes that share a Redis or Valkey fetch each
        layer once for all of them.
      </p>
    );
  }
  return (
    <>
      <Engine cluster={cluster} />
      <Feeds cluster={cluster} imagesOf={(digest) => imagesWith(digest, pulls ?? [])} />
      <Nodes cluster={cluster} />
    </>
  );
}

function imagesWith(
  digest: string,
  pulls: readonly { readonly image: string; readonly layers: readonly { readonly digest: string }[] }[],
): string[] {
  return pulls
    .filter(({ layers }) => layers.some((layer) => layer.digest === digest))
    .map(({ image }) => image)
    .slice(0, 3);
}

function Engine({ cluster: { engine, members, children } }: { readonly cluster: ClusterSnapshot }) {
  return (
    <section aria-label="Engine" class="panel engine">
      <p>
        <span class={`health health-${engine.isUp ? 'sound' : 'out'}`}>
          <span class="state-dot" aria-hidden="true" />
          {engine.isUp ? 'The engine answers' : 'The engine does not answer'}
        </span>
        {engine.sinceMs != null && <span class="dim"> for {span(serverNowMs.value - engine.sinceMs)}</span>}
      </p>
      {engine.error != null && !engine.isUp && (
        <p class="failure">{engine.error}. Each node goes on by itself: that costs upstream more, and fails nothing.</p>
      )}
      <p class="dim">
        {counted(members.length, 'node')}; this one sends {counted(children, 'body', 'bodies')} to others now.
      </p>
    </section>
  );
}

function Feeds({
  cluster,
  imagesOf,
}: {
  readonly cluster: ClusterSnapshot;
  readonly imagesOf: (digest: string) => readonly string[];
}) {
  const graphs = useMemo(() => feedGraphs(cluster), [cluster]);
  return (
    <section aria-labelledby="feeds">
      <h2 id="feeds">
        Who feeds whom <span class="tally num">{count(graphs.length)}</span>
      </h2>
      {graphs.length === 0 ? (
        <p class="nothing">Nodes share no transfer right now.</p>
      ) : (
        <>
          <p class="lead">
            What other nodes have is as of their last word, up to a second ago: one may seem to have more than the one
            that it reads from.
          </p>
          <More items={graphs} step={6} what="transfer">
            {(shown) => (
              <div class="feeds">
                {shown.map((graph) => (
                  <FeedGraphFigure key={graph.digest} graph={graph} images={imagesOf(graph.digest)} />
                ))}
              </div>
            )}
          </More>
        </>
      )}
    </section>
  );
}

function Nodes({ cluster }: { readonly cluster: ClusterSnapshot }) {
  const members = knownMembers(cluster).sort(
    (a, b) => (a.node.zone ?? '').localeCompare(b.node.zone ?? '') || a.node.name.localeCompare(b.node.name),
  );
  return (
    <section aria-labelledby="nodes">
      <h2 id="nodes">Nodes</h2>
      {members.length === 0 ? (
        <p class="nothing">Nobody can be told of while the engine does not answer.</p>
      ) : (
        <More items={members} step={100} what="node">
          {(shown) => (
            <div class="table-frame panel">
              <table class="wide">
                <thead>
                  <tr>
                    <th scope="col">Node</th>
                    <th scope="col">Zone</th>
                    <th scope="col">Address for peers</th>
                    <th scope="col" class="num">
                      Fills
                    </th>
                    <th scope="col" class="num">
                      Feeds
                    </th>
                    <th scope="col">Heard of</th>
                    <th scope="col">Version</th>
                  </tr>
                </thead>
                <tbody>
                  {shown.map(({ node, load, silentMs }) => (
                    <tr key={node.id}>
                      <th scope="row">
                        {node.name} {node.id === cluster.node && <span class="pinned">this node</span>}
                      </th>
                      <td data-name="Zone">{node.zone ?? '–'}</td>
                      <td data-name="Address">
                        <code>{node.address}</code>
                      </td>
                      <td data-name="Fills" class="num">
                        {count(load.fills.length)}
                      </td>
                      <td data-name="Feeds" class="num">
                        {count(load.children)}
                      </td>
                      <td data-name="Heard of">{silentMs < 2000 ? 'just now' : `${span(silentMs)} ago`}</td>
                      <td data-name="Version">{node.version}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </More>
      )}
    </section>
  );
}
