import type { Digest } from '../core/digest.ts';

/** One run of one node: another one after each start, so that what it left behind is nobody's. */
export type NodeId = string;

/** What every node may know of another. */
export interface NodeFacts {
  readonly id: NodeId;
  /** What operators call it: `cluster.nodeId`. */
  readonly name: string;
  /** Nodes of one zone are near each other; undefined is a zone like any other. */
  readonly zone: string | undefined;
  /** Where its peers reach it: an origin, `http://10.0.0.7:5002`. */
  readonly address: string;
  /** Of the peer protocol: the newest that it speaks. */
  readonly protocol: number;
  /** Of onepull. */
  readonly version: string;
}

/** What a node does at the moment, for operators and for whoever has to choose among nodes. */
export interface NodeLoad {
  /** Bodies that it sends to peers. */
  readonly children: number;
  readonly fills: readonly FillLoad[];
}

/** What a fill is at among the nodes: see `BlobShare`. */
export const fillPlaces = ['asking', 'leads', 'follows', 'waits', 'alone'] as const;
export type FillPlace = (typeof fillPlaces)[number];

export interface FillLoad {
  readonly digest: Digest;
  readonly sizeBytes: number | undefined;
  readonly filledBytes: number;
  /** It has the lease. */
  readonly leads: boolean;
  /** Undefined: its bytes are here and being put away, or a node of an earlier version says nothing of it. */
  readonly place?: FillPlace;
  readonly parents: readonly NodeId[];
}

export interface Member {
  readonly node: NodeFacts;
  readonly load: NodeLoad;
  /** Since it was last heard of, by the engine's clock, in ms. */
  readonly silentMs: number;
}

/** How much of a blob a node has, and what it wants to know. */
export interface Visit {
  /** Bytes from 0 on that are here without a gap. */
  readonly prefixBytes: number;
  readonly sizeBytes: number | undefined;
  /** Whom it reads from now. */
  readonly parents: readonly NodeId[];
  /** The lease that it has; undefined: none. */
  readonly token: string | undefined;
  /** It looks for somebody to read from, or for the right to ask upstream. Otherwise it only says how far it is. */
  readonly seeks: boolean;
  /** What it read from stood still, though it is there: only who has more than this node is of use. */
  readonly onlyAhead?: boolean;
  /** It cannot get at upstream: whoever can is to lead. It seeks one who is ahead, but takes no lease, and is no holder for others. */
  readonly yields?: boolean;
  /** Who was of no use to it: not to be named again. */
  readonly avoid: readonly NodeId[];
  /** Of these, who is as good as gone: nobody listens there, or nothing could be had there for long. Their leases count for nothing. */
  readonly gone: readonly NodeId[];
  /** Of those who have all of it only these are to be named: others are not heard of. Undefined: all. */
  readonly among?: readonly NodeId[] | undefined;
}

export type Standing =
  /** It may ask upstream, as long as it comes back with the token within the time of a lease. */
  | { readonly kind: 'leads'; readonly token: string }
  /** It is to read from this node, which counts it among its children from now on. */
  | { readonly kind: 'follows'; readonly holder: Holder }
  /** Another node leads, of whom it can have nothing. To be asked again. */
  | {
      readonly kind: 'waits';
      readonly leader: NodeId;
      /** It has more than this node, as far as anybody knows. */
      readonly isAhead: boolean;
    }
  /** It did not seek, or it yields; it leads nothing (any more). */
  | { readonly kind: 'noted' };

/** A node that has all or part of a blob. */
export interface Holder {
  readonly node: NodeId;
  readonly address: string;
  readonly zone: string | undefined;
  readonly protocol: number;
  readonly prefixBytes: number;
  readonly sizeBytes: number | undefined;
  readonly isComplete: boolean;
}

/** Something small that one node asks upstream for all of them: where a tag points, whether a repository has a digest. */
export type Claim =
  /** What a node was told so long ago. */
  | { readonly kind: 'known'; readonly value: string; readonly ageMs: number }
  /** This node is to ask, and to `settle` or `drop` it. */
  | { readonly kind: 'mine'; readonly token: string }
  /** Another node is asking; its claim lasts so much longer at most. */
  | { readonly kind: 'theirs'; readonly leftMs: number };

/** A rest that an endpoint asked for (429, Retry-After), for all nodes. */
export interface SharedPause {
  readonly upstream: string;
  readonly endpoint: string;
  readonly what: string;
  readonly status: number;
  readonly leftMs: number;
}

/**
 * What nodes that share an engine tell each other. All of it may be lost, late or wrong at any time: it saves requests to
 * upstream, and nothing else depends on it (P11). Times are told as durations, measured by the engine's clock alone: no
 * node's clock matters. Every call ends within the bounds that the adapter was given, or rejects with CLUSTER_UNAVAILABLE.
 *
 * A lease is a courtesy, not a lock: two nodes may believe for a while that they lead, and both are right to go on.
 */
export interface Coordinator extends AsyncDisposable {
  /** This node is there; returns who else is, itself included. To be called about once a second. */
  beat(load: NodeLoad): Promise<{ readonly members: readonly Member[]; readonly pauses: readonly SharedPause[] }>;
  /** This node goes: nobody is to be sent here any more. */
  part(): Promise<void>;

  /** Says how far this node's fill is. About once a second for each, and whenever it seeks. */
  visit(digest: Digest, visit: Visit): Promise<Standing>;
  /** The fill is over. `isComplete`: the content is here now, for others to have. */
  leave(digest: Digest, farewell: { readonly token: string | undefined; readonly isComplete: boolean }): Promise<void>;
  /** Content that is here: for those who will miss it. */
  announce(contents: readonly { readonly digest: Digest; readonly sizeBytes: number }[]): Promise<void>;
  /** A node said that it does not have what it was known to hold. */
  lost(digest: Digest, node: NodeId): Promise<void>;

  /** What a node was told under this key at most `maxAgeMs` ago, or who asks for it. */
  claim(key: string, maxAgeMs: number): Promise<Claim>;
  /** It is still being asked. To be said well within the time of a lease, again and again. */
  keep(key: string, token: string): Promise<void>;
  /**
   * What upstream said. Others may use it for `keepMs`, each for as long as it likes. Of one whose claim is not its own any more
   * it is not taken: somebody else asked since then.
   */
  settle(key: string, token: string, value: string, keepMs: number): Promise<void>;
  /** Nothing came of it: somebody else may ask. */
  drop(key: string, token: string): Promise<void>;

  /** An endpoint asked for a rest. */
  pause(pause: SharedPause): Promise<void>;
}

/** How long what nodes say counts without being said again, and how many may read from one. */
export interface CoordinatorOptions {
  /** A lease, and a claim. */
  readonly leaseMs: number;
  /** A node that was not heard of for so long is gone; a fill that was not, too. */
  readonly staleMs: number;
  /** That a node has all of a blob. */
  readonly holderMs: number;
  /** Of one node's, for one blob. */
  readonly maxChildren: number;
}

/** A few reports may be late or lost before anybody draws a conclusion. */
export const coordinatorDefaults: CoordinatorOptions = {
  leaseMs: 5000,
  staleMs: 5000,
  holderMs: 24 * 3_600_000,
  maxChildren: 4,
};
