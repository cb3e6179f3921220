import type { PullSnapshot } from '../pull/pull-board.ts';
import type { EffectTotals } from '../telemetry/effect-snapshot.ts';

/** How it does, on one screen. Sizes in bytes, times in ms since the epoch. */
export interface Status {
  readonly version: string;
  /** Of Node.js. */
  readonly node: string;
  readonly startedAtMs: number;
  readonly state: 'ready' | 'not ready';
  readonly reasons: readonly string[];
  readonly warnings: readonly string[];
  /** `host:port` for clients. */
  readonly listen: string;
  readonly tls: boolean;
  readonly cache: {
    readonly sizeBytes: number;
    readonly maxBytes: number;
    readonly diskFreeBytes: number | undefined;
    readonly images: number;
    readonly blobs: number;
    /** Of `sizeBytes`, what no manifest that is known references. */
    readonly strayBytes: number;
  };
  readonly effect: {
    readonly servedBytes: number;
    readonly upstreamBytes: number;
    readonly savedBytes: number;
    readonly requests: number;
    readonly upstreamRequests: number;
    readonly coalescedRequests: number;
    readonly hitRatio: number | undefined;
  };
  readonly pulls: Readonly<Record<PullSnapshot['state'], number>>;
}

/** What the status is made of. Functions give plain data. */
export interface StatusDeps {
  readonly version: string;
  readonly startedAtMs: number;
  readiness(): readonly string[];
  warnings(): readonly string[];
  listen(): { readonly address: string; readonly tls: boolean };
  cache(): Promise<Status['cache']>;
  totals(): EffectTotals;
}

/** `pulls` as the board has them now. */
export async function statusOf(deps: StatusDeps, pulls: readonly PullSnapshot[]): Promise<Status> {
  const reasons = deps.readiness();
  const { address, tls } = deps.listen();
  return {
    version: deps.version,
    node: process.versions.node,
    startedAtMs: deps.startedAtMs,
    state: reasons.length === 0 ? 'ready' : 'not ready',
    reasons,
    warnings: deps.warnings(),
    listen: address,
    tls,
    cache: await deps.cache(),
    effect: effectOf(deps.totals()),
    pulls: countsOf(pulls),
  };
}

function effectOf(totals: EffectTotals): Status['effect'] {
  const { servedBytes, upstreamBytes, requests, upstreamRequests, coalesced, hits, answers } = totals;
  return {
    servedBytes,
    upstreamBytes,
    savedBytes: Math.max(0, servedBytes - upstreamBytes),
    requests,
    upstreamRequests,
    coalescedRequests: coalesced,
    hitRatio: answers === 0 ? undefined : Math.round((10_000 * hits) / answers) / 10_000,
  };
}

function countsOf(pulls: readonly PullSnapshot[]): Status['pulls'] {
  const counts = { waiting: 0, pulling: 0, verifying: 0, incomplete: 0, done: 0, failed: 0 };
  for (const { state } of pulls) counts[state]++;
  return counts;
}
