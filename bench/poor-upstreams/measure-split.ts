import type { ClientFleet } from '../support/clients/client-fleet.ts';
import { processUse } from '../support/cpu-time.ts';
import { startOnepull } from '../support/subjects/onepull.ts';
import type { Upstream } from '../support/upstream/upstream.ts';
import type { UpstreamImage } from '../support/upstream/upstream-child.ts';

/** Whether each connection has its own limit, or all share one. */
export type Limit = 'per-connection' | 'per-upstream';

/** One cold pull of a large blob by one client. */
export interface SplitSample {
  readonly round: number;
  readonly limit: Limit;
  /** Connections that could share the blob (`pull.maxSplit`), and the most that did. */
  readonly allowed: number;
  readonly used: number;
  /** Undefined: it failed or was not done in time. */
  readonly totalMs: number | undefined;
  readonly imageBytes: number;
  readonly bodyBytes: number;
  readonly repeatedBytes: number;
  readonly requests: number;
  readonly peakMemoryBytes: number | undefined;
}

export interface SplitSetup {
  readonly upstream: Upstream;
  readonly fleet: ClientFleet;
  readonly image: UpstreamImage;
  readonly limit: Limit;
  readonly allowed: number;
  readonly round: number;
  readonly capMs: number;
}

export async function measureSplit(setup: SplitSetup): Promise<SplitSample> {
  const { upstream, fleet, image, allowed } = setup;
  await upstream.reset();
  await using subject = await startOnepull([upstream.url], {
    pull: { maxSplit: allowed, maxRanges: Math.max(4, allowed) },
  });
  const { pulls } = await fleet.burst({
    origin: subject.origin,
    repository: image.repository,
    tag: image.tag,
    clients: 1,
    verify: 1,
    deadlineMs: setup.capMs,
  });
  const report = await upstream.report();
  return {
    round: setup.round,
    limit: setup.limit,
    allowed,
    used: report.maxConcurrentBodiesPerBlob,
    totalMs: pulls[0]?.result === 'complete' ? Math.round(pulls[0].totalMs) : undefined,
    imageBytes: image.totalBytes,
    bodyBytes: report.bodyBytes,
    repeatedBytes: report.repeatedBytes,
    requests: report.getBlob,
    peakMemoryBytes: (await processUse(subject.pid))?.peakMemoryBytes,
  };
}
