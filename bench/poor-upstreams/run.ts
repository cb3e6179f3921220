import { setTimeout as delay } from 'node:timers/promises';
import { layerSizes } from '../cold-burst/parameters.ts';
import { ClientFleet } from '../support/clients/client-fleet.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import type { UpstreamSpeed } from '../support/upstream/upstream-child.ts';
import { type FailoverSample, measureFailover } from './measure-failover.ts';
import { type Limit, measureSplit, type SplitSample } from './measure-split.ts';
import type { Parameters } from './parameters.ts';

export interface Measurements {
  readonly splits: readonly SplitSample[];
  readonly failovers: readonly FailoverSample[];
}

/** Lets what the last measurement left behind (sockets, writes to disk) pass. */
const settleMs = 250;

/** Runs all measurements. `progress` is told of each. */
export async function runPoorUpstreams(
  parameters: Parameters,
  progress: (line: string) => void,
): Promise<Measurements> {
  const { lineBytesPerSecond } = parameters;
  const splits = [
    ...(await splitRounds('per-connection', { connectionBytesPerSecond: lineBytesPerSecond }, parameters, progress)),
    ...(await splitRounds('per-upstream', { bytesPerSecond: lineBytesPerSecond }, parameters, progress)),
  ];
  return { splits, failovers: await failoverRounds(parameters, progress) };
}

async function splitRounds(
  limit: Limit,
  speed: UpstreamSpeed,
  { rounds, blobBytes, splits, capMs }: Parameters,
  progress: (line: string) => void,
): Promise<SplitSample[]> {
  await using upstream = await Upstream.start(speed);
  await using fleet = new ClientFleet(1);
  const image = await upstream.add({ repository: 'bench/large', tag: 'v1', seed: 'large', layerSizes: [blobBytes] });
  const samples: SplitSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    // Whoever comes second finds the machine as the first one left it: they take turns at that.
    for (const allowed of round % 2 === 1 ? splits : splits.toReversed()) {
      await delay(settleMs);
      const sample = await measureSplit({ upstream, fleet, image, limit, allowed, round, capMs });
      samples.push(sample);
      progress(`round ${round}/${rounds}  ${splitText(sample)}`);
    }
  }
  return samples;
}

async function failoverRounds(
  { rounds, imageBytes, endpointBytesPerSecond: bytesPerSecond, clients, capMs }: Parameters,
  progress: (line: string) => void,
): Promise<FailoverSample[]> {
  await using preferred = await Upstream.start({ bytesPerSecond });
  await using other = await Upstream.start({ bytesPerSecond });
  await using fleet = new ClientFleet(1);
  const add = async (seed: string, bytes: number) => {
    const request = { repository: `bench/${seed}`, tag: 'v1', seed, layerSizes: layerSizes(bytes) };
    const [image] = await Promise.all([preferred.add(request), other.add(request)]);
    return image;
  };
  const [image, nextImage] = [await add('full', imageBytes), await add('next', imageBytes / 12)];
  const samples: FailoverSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const dies of round % 2 === 1 ? [false, true] : [true, false]) {
      await delay(settleMs);
      const sample = await measureFailover({ preferred, other, fleet, image, nextImage, dies, round, clients, capMs });
      samples.push(sample);
      progress(`round ${round}/${rounds}  ${failoverText(sample)}`);
    }
  }
  return samples;
}

function splitText({ limit, allowed, used, totalMs, bodyBytes, imageBytes, requests }: SplitSample): string {
  const time = totalMs === undefined ? 'not done' : `${(totalMs / 1000).toFixed(2)} s`;
  const bytes = (bodyBytes / imageBytes).toFixed(4);
  return `limit ${limit.padEnd(14)} ${allowed} allowed, ${used} used: ${time}, ${bytes}x bytes, ${requests} requests`;
}

function failoverText({ dies, clients, failed, slowestMs, nextMs, bodyBytes, imageBytes }: FailoverSample): string {
  const time = slowestMs === undefined ? '-' : `${(slowestMs / 1000).toFixed(2)} s`;
  const bytes = (bodyBytes / imageBytes).toFixed(4);
  const what = dies ? 'an endpoint dies' : 'both live';
  return `${clients} clients, ${what}: ${failed} failed, slowest ${time}, ${bytes}x bytes, next pull ${nextMs ?? '-'} ms`;
}
