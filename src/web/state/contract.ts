import type { FlightSnapshot } from '../../flights/flight-snapshot.ts';
import type { ClusterSnapshot } from '../../pull/cluster-snapshot.ts';
import type { PullSnapshot } from '../../pull/pull-board.ts';
import type { UpstreamSnapshot } from '../../upstream/upstream-snapshot.ts';

/** GET /api/v1/status. */
export interface StatusSnapshot {
  readonly version: string;
  /** The version of Node.js. */
  readonly node: string;
  readonly startedAtMs: number;
  readonly state: 'ready' | 'not ready';
  readonly reasons: readonly string[];
  readonly warnings: readonly string[];
  /** Where clients reach it, `host:port`. */
  readonly listen: string;
  /** They speak HTTPS there. */
  readonly tls?: boolean;
  readonly cache: {
    readonly sizeBytes: number;
    readonly maxBytes: number;
    readonly diskFreeBytes?: number;
    /** Left out where it is not known. */
    readonly images?: number;
    readonly blobs: number;
  };
  readonly effect: {
    readonly servedBytes: number;
    readonly upstreamBytes: number;
    readonly savedBytes: number;
    readonly requests: number;
    readonly upstreamRequests: number;
    readonly coalescedRequests: number;
    /** Left out before the first answer. */
    readonly hitRatio?: number;
  };
  readonly pulls: Readonly<Record<'waiting' | 'pulling' | 'verifying' | 'done' | 'failed', number>>;
}

export interface EffectPoint {
  readonly atMs: number;
  readonly servedBytes: number;
  readonly upstreamBytes: number;
  readonly peerBytes: number;
  readonly requests: number;
  readonly hits: number;
  readonly coalesced: number;
  readonly failures: number;
}

export interface Percentiles {
  readonly p50?: number;
  readonly p90?: number;
  readonly p99?: number;
}

/** GET /api/v1/effect. */
export interface EffectSnapshot {
  readonly stepMs: number;
  /** So many are kept. */
  readonly maxPoints: number;
  readonly points: readonly EffectPoint[];
  readonly firstByteMs: Percentiles;
  readonly pullMs: Percentiles;
  readonly upstreams: readonly {
    readonly name: string;
    readonly bytes: number;
    readonly requests: number;
    readonly errors: number;
  }[];
}

/** Everything that the page shows live. A section that is undefined was not told yet. */
export interface LiveState {
  readonly pulls: readonly PullSnapshot[] | undefined;
  readonly flights: readonly NamedFlight[] | undefined;
  readonly upstreams: readonly UpstreamSnapshot[] | undefined;
  /** null: this node is alone. */
  readonly cluster: ClusterSnapshot | null | undefined;
  readonly status: StatusSnapshot | undefined;
  readonly effect: EffectSnapshot | undefined;
}

/** In events each transfer has a name, as long as the process runs. */
export type NamedFlight = FlightSnapshot & { readonly id: string };

/** The data of an event `state`. */
export interface StateChange {
  /** It replaces all that is known; otherwise what is not in it has not changed. */
  readonly isWhole: boolean;
  /** All, or those that are new or have changed, by id. */
  readonly pulls?: readonly PullSnapshot[];
  readonly flights?: readonly NamedFlight[];
  /** By id. */
  readonly gone?: { readonly pulls?: readonly string[]; readonly flights?: readonly string[] };
  readonly upstreams?: readonly UpstreamSnapshot[];
  readonly cluster?: ClusterSnapshot | null;
  readonly status?: StatusSnapshot;
  /** Of the points only the new ones, unless it is whole. */
  readonly effect?: EffectSnapshot;
}

/** GET /api/v1/images. */
export interface CachedImage {
  readonly image: string;
  readonly manifest: string;
  readonly mediaType: string;
  readonly platforms: readonly string[];
  readonly sizeBytes: number;
  readonly storedBytes: number;
  readonly pulls?: number;
  readonly lastUsedAtMs?: number;
  readonly cachedAtMs?: number;
  readonly isPinned: boolean;
}

export interface ImagePage {
  readonly images: readonly CachedImage[];
  readonly total: number;
  readonly after?: string;
}
