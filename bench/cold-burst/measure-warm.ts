import { setTimeout as delay } from 'node:timers/promises';
import { ClientFleet } from '../support/clients/client-fleet.ts';
import { startOnepull } from '../support/subjects/onepull.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import type { UpstreamReport } from '../support/upstream/upstream-report.ts';

/** What a pull of a cached image asked of the upstream, while its tag was fresh and after that. */
export interface WarmSample {
  readonly clients: number;
  readonly fresh: UpstreamReport;
  readonly expired: UpstreamReport;
  /** Pulls that were not complete, in both bursts together. */
  readonly failed: number;
}

const tagTtlMs = 3000;
/** Beyond the end of the TTL, so that no rounding makes the tag fresh still. */
const marginMs = 200;
const clients = 16;

export async function measureWarm(): Promise<WarmSample> {
  await using upstream = await Upstream.start();
  await using fleet = new ClientFleet(1);
  const image = await upstream.add({ repository: 'bench/warm', tag: 'v1', seed: 'warm', layerSizes: [1e6, 5e5, 2e5] });
  await using cache = await startOnepull([upstream.url], {}, `${tagTtlMs}ms`);
  const target = { origin: cache.origin, repository: image.repository, tag: image.tag, verify: 1, deadlineMs: 30_000 };
  const burst = async (count: number) => {
    await upstream.reset();
    const { pulls } = await fleet.burst({ ...target, clients: count });
    return { report: await upstream.report(), failed: pulls.filter(({ result }) => result !== 'complete').length };
  };
  const cold = await burst(1);
  const fresh = await burst(clients);
  await delay(tagTtlMs + marginMs);
  const expired = await burst(clients);
  const failed = cold.failed + fresh.failed + expired.failed;
  return { clients, fresh: fresh.report, expired: expired.report, failed };
}
