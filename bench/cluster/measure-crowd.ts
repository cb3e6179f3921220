import { needs } from '../../test/support/need.ts';
import { RedisServer } from '../../test/support/redis-server.ts';
import { ClientFleet } from '../support/clients/client-fleet.ts';
import type { PullOutcome } from '../support/clients/lean-pull.ts';
import { machineBusyMs } from '../support/machine-load.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import type { UpstreamImage } from '../support/upstream/upstream-child.ts';
import type { UpstreamReport } from '../support/upstream/upstream-report.ts';
import { LoopbackCluster } from './loopback-cluster.ts';
import { type CrowdParameters, layerSizes } from './parameters.ts';

/** Clients of several nodes pull one cold image at once; or one client pulls it from upstream. */
export interface CrowdSample {
  readonly round: number;
  readonly subject: 'cluster' | 'direct';
  readonly clients: number;
  readonly imageBytes: number;
  /** Complete pulls. */
  readonly totalMs: readonly number[];
  readonly failed: number;
  readonly errors: readonly string[];
  readonly upstream: UpstreamReport;
  readonly wallMs: number;
  readonly machineMs: number;
}

const verifying = 2;

/** Why there can be no engine here, or false. */
export function needsForEngine(): string | false {
  return needs('redis-server');
}

/** Each round has an image of its own, pulled by one client from upstream and by all through nodes that were up before. */
export async function measureCrowds(
  parameters: CrowdParameters & { readonly rounds: number; readonly capMs: number },
  progress: (line: string) => void,
): Promise<CrowdSample[]> {
  const { rounds, nodes, lineBytesPerSecond, imageBytes } = parameters;
  await using upstream = await Upstream.start({ bytesPerSecond: lineBytesPerSecond });
  await using engine = await RedisServer.start();
  await using cluster = await LoopbackCluster.start(nodes, upstream.url, engine);
  await using fleet = new ClientFleet(1);
  const origins = cluster.nodes.map(({ url }) => url);
  const samples: CrowdSample[] = [];
  for (let round = 0; round <= rounds; round++) {
    const seed = `crowd-${round}`;
    // The first one is for all to have done it once.
    const bytes = round === 0 ? imageBytes / 10 : imageBytes;
    const image = await upstream.add({ repository: `bench/${seed}`, tag: 'v1', seed, layerSizes: layerSizes(bytes) });
    const direct = () => crowdOf({ upstream, fleet, image, ...parameters }, round, 'direct', [upstream.url], 1);
    const shared = () =>
      crowdOf({ upstream, fleet, image, ...parameters }, round, 'cluster', origins, parameters.clientsPerNode);
    for (const measure of round % 2 === 1 ? [direct, shared] : [shared, direct]) {
      const sample = await measure();
      if (round > 0) samples.push(sample);
      if (round > 0) progress(`crowd, round ${round}/${rounds}  ${crowdText(sample)}`);
    }
  }
  return samples;
}

interface Crowd {
  readonly upstream: Upstream;
  readonly fleet: ClientFleet;
  readonly image: UpstreamImage;
  readonly capMs: number;
}

async function crowdOf(
  { upstream, fleet, image, capMs: deadlineMs }: Crowd,
  round: number,
  subject: CrowdSample['subject'],
  origins: readonly string[],
  clients: number,
): Promise<CrowdSample> {
  await upstream.reset();
  const { repository, tag, totalBytes: imageBytes } = image;
  const request = { repository, tag, clients, verify: verifying, deadlineMs };
  const machineFromMs = machineBusyMs();
  const startedAt = performance.now();
  const bursts = await Promise.all(origins.map((origin) => fleet.burst({ ...request, origin })));
  const wallMs = performance.now() - startedAt;
  const machineMs = machineBusyMs() - machineFromMs;
  const pulls = bursts.flatMap((burst) => burst.pulls);
  const isComplete = ({ result }: PullOutcome) => result === 'complete';
  const failed = pulls.filter((pull) => !isComplete(pull));
  return {
    round,
    subject,
    clients: pulls.length,
    imageBytes,
    totalMs: pulls.filter(isComplete).map(({ totalMs }) => tenths(totalMs)),
    failed: failed.length,
    errors: [...new Set(failed.map(({ error }) => error ?? 'unfinished'))].slice(0, 5),
    upstream: await upstream.report(),
    wallMs: tenths(wallMs),
    machineMs: tenths(machineMs),
  };
}

function crowdText({ subject, clients, totalMs, imageBytes, failed, upstream }: CrowdSample): string {
  const slowest = `slowest ${(Math.max(...totalMs) / 1000).toFixed(2)} s`;
  const bad = failed === 0 ? '' : `, ${failed} failed`;
  return `${subject.padEnd(8)} ${clients} clients: ${slowest}, ${(upstream.bodyBytes / imageBytes).toFixed(3)}x bytes${bad}`;
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
