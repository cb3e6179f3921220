import { Counter, Gauge, type Registry } from 'prom-client';
import type { Channels, PeerRefusedEvent, ShareEvent } from './channels.ts';

/** What is shown of the nodes that share an engine. */
export interface ClusterFigures {
  readonly engine: { readonly isUp: boolean };
  readonly members: readonly unknown[];
  /** Bodies that go to peers now. */
  readonly children: number;
  readonly shares: readonly { readonly leads: boolean; readonly parents: readonly unknown[] }[];
}

const places: readonly ShareEvent['place'][] = ['leads', 'follows', 'alone', 'took-over'];
const refusals: readonly PeerRefusedEvent['reason'][] = ['signature', 'certificate', 'plain'];

/** `cluster` gives undefined where this node is alone: then these gauges are not there. */
export function addClusterMetrics(
  registry: Registry,
  channels: Pick<Channels, 'share' | 'peerServed' | 'peerReceived' | 'peerRefused'>,
  cluster: () => ClusterFigures | undefined,
): void {
  const registers = [registry];
  const read = (name: string, help: string, value: (figures: ClusterFigures) => number) =>
    new Gauge({
      name: `onepull_${name}`,
      help,
      registers,
      collect() {
        const figures = cluster();
        // A `reset` of what has no labels leaves a 0: an engine that is down, where there is none.
        if (figures === undefined) this.remove();
        else this.set(value(figures));
      },
    });
  read('cluster_engine_up', 'Whether the engine that nodes share answered the last call: 1 or 0.', ({ engine }) =>
    engine.isUp ? 1 : 0,
  );
  read('cluster_nodes', 'Nodes that were there at the last beat, this one included.', ({ members }) => members.length);
  read(
    'cluster_leases',
    'Blobs that this node brings from upstream for all nodes now.',
    ({ shares }) => shares.filter(({ leads }) => leads).length,
  );
  read(
    'cluster_followed',
    'Blobs that this node reads from other nodes now.',
    ({ shares }) => shares.filter(({ parents }) => parents.length > 0).length,
  );
  read('peer_children', 'Bodies that are being sent to other nodes now.', ({ children }) => children);

  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `onepull_${name}`, help, labelNames, registers });
  const shared = counter('cluster_shares_total', 'Places that fills took among the nodes.', ['place']);
  for (const place of places) shared.inc({ place }, 0);
  channels.share.subscribe(({ place }) => shared.inc({ place }));
  const sent = counter('peer_sent_bytes_total', 'Bytes of blobs that went to other nodes.');
  channels.peerServed.subscribe(({ bytes }) => sent.inc(bytes));
  const received = counter('peer_received_bytes_total', 'Bytes of blobs that came from other nodes.');
  channels.peerReceived.subscribe(({ bytes }) => received.inc(bytes));
  const refused = counter('peer_refused_total', 'Times that this node and another one did not let each other in.', [
    'reason',
  ]);
  for (const reason of refusals) refused.inc({ reason }, 0);
  channels.peerRefused.subscribe(({ reason }) => refused.inc({ reason }));
}
