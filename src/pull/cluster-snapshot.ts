import type { FillLoad, Member, NodeId } from '../cluster/coordinator.ts';

/** This node among those that share an engine, at one moment: for the API and the metrics. */
export interface ClusterSnapshot {
  readonly node: NodeId;
  readonly engine: {
    /** For people. */
    readonly address: string;
    /** What its keys begin with: nodes with another one do not share. */
    readonly prefix: string;
    readonly isUp: boolean;
    /** In ms since the epoch; undefined: it was not asked yet. */
    readonly sinceMs: number | undefined;
    readonly error: string | undefined;
  };
  /** Bodies that it sends to peers. */
  readonly children: number;
  readonly shares: readonly FillLoad[];
  /** Who is there, this node included; empty while the engine does not answer. */
  readonly members: readonly Member[];
}
