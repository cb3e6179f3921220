import { setTimeout as delay } from 'node:timers/promises';
import { isInOwnNetwork } from '../../test/support/network-lab/own-network.ts';
import type { UpstreamImage } from '../support/upstream/upstream-child.ts';
import type { Rates } from './bound.ts';
import { type Costs, measureCosts } from './measure-costs.ts';
import { type CrowdSample, measureCrowds, needsForEngine } from './measure-crowd.ts';
import { measureSpread, type SpreadSample, type SpreadSubject } from './measure-spread.ts';
import { layerSizes, type Parameters } from './parameters.ts';
import { ShapedScene } from './shaped-scene.ts';

/** What the lines of one scale gave. */
export interface ScaleRates extends Rates {
  readonly scale: number;
}

export interface Measurements {
  readonly rates: readonly ScaleRates[];
  readonly spreads: readonly SpreadSample[];
  readonly crowds: readonly CrowdSample[];
  readonly costs: Costs;
  /** What could not be measured here, and why. */
  readonly absent: readonly string[];
}

type Progress = (line: string) => void;

/** Lets what the last measurement left behind (sockets, processes that end) pass. */
const settleMs = 500;
/** Nodes have been up for a while: they have pulled another image, of this share of the one that is measured. */
const warmUpShare = 0.5;
/** How long lines are measured for. */
const rateSeconds = 1.5;

/** Runs all that can be measured here. `progress` is told of each. */
export async function runCluster(
  parameters: Parameters,
  noLab: string | false,
  progress: Progress,
): Promise<Measurements> {
  const noEngine = needsForEngine();
  if (noEngine !== false) {
    const absent = [`Nothing was measured (${noEngine})`];
    return { rates: [], spreads: [], crowds: [], costs: { misses: [], hits: [] }, absent };
  }
  const absent = isInOwnNetwork() ? [] : [`Nodes on lines of their own were not measured (${noLab})`];
  for (const line of absent) progress(line);
  const costs = await measureCosts(parameters.costs, progress);
  const { rounds, capMs } = parameters;
  const crowds = await measureCrowds({ ...parameters.crowd, rounds, capMs }, progress);
  const [rates, spreads]: [ScaleRates[], SpreadSample[]] = [[], []];
  for (const scale of isInOwnNetwork() ? parameters.scales : []) {
    const measured = await spreadsOf(parameters, scale, progress);
    rates.push({ scale, ...measured.rates });
    spreads.push(...measured.samples);
  }
  return { rates, spreads, crowds, costs, absent };
}

async function spreadsOf(parameters: Parameters, scale: number, progress: Progress) {
  const { links, imageBytes, capMs } = parameters;
  const rounds = scale === 1 ? parameters.rounds : parameters.slowRounds;
  const counts = scale === 1 ? parameters.nodes : parameters.slowNodes;
  const slower = {
    upstreamBitsPerSecond: links.upstreamBitsPerSecond / scale,
    nodeBitsPerSecond: links.nodeBitsPerSecond / scale,
  };
  await using scene = await ShapedScene.open(Math.max(2, ...counts), slower);
  const rates = await scene.rates(Math.round((slower.upstreamBitsPerSecond / 8) * rateSeconds));
  progress(`links: upstream ${rateText(rates.upstreamBytesPerSecond)}, a node ${rateText(rates.nodeBytesPerSecond)}`);
  const samples: SpreadSample[] = [];
  const add = (seed: string, bytes: number): Promise<UpstreamImage> =>
    scene.upstream.add({ repository: `bench/${seed}`, tag: 'v1', seed, layerSizes: layerSizes(bytes) });
  for (let round = 1; round <= rounds; round++) {
    // Each subject of a round has the same image, and nobody has had it before.
    const image = await add(`image-${round}`, imageBytes);
    const warmUp = await add(`warm-up-${round}`, imageBytes * warmUpShare);
    for (const nodes of counts) {
      const subjects = subjectsOf(parameters, scale, round, nodes);
      // Whoever comes second finds the machine as the first one left it: they take turns at that.
      for (const subject of round % 2 === 1 ? subjects : subjects.toReversed()) {
        await delay(settleMs);
        const sample = await measureSpread({ scene, subject, nodes, scale, round, image, warmUp, capMs });
        samples.push(sample);
        progress(`round ${round}/${rounds}  ${spreadText(sample)}`);
      }
    }
  }
  return { rates, samples };
}

function subjectsOf(
  { peerRounds, peerNodes }: Parameters,
  scale: number,
  round: number,
  nodes: number,
): SpreadSubject[] {
  return scale === 1 && round <= peerRounds && peerNodes.includes(nodes)
    ? ['cluster', 'direct', 'shared']
    : ['cluster'];
}

function spreadText({
  subject,
  scale,
  nodes,
  hasMs,
  imageBytes,
  upstream,
  failed,
  unfinished,
  cpu,
  wallMs,
}: SpreadSample) {
  const last = hasMs.length === 0 ? '-' : `${(Math.max(...hasMs) / 1000).toFixed(2)} s`;
  const bad = failed + unfinished === 0 ? '' : `, ${failed} failed, ${unfinished} unfinished`;
  const slower = scale === 1 ? '' : ` on lines ${scale} x slower`;
  const bytes = `${(upstream.bodyBytes / imageBytes).toFixed(3)}x upstream bytes`;
  return `${subject.padEnd(7)} ${nodes} nodes${slower}: last ${last}, ${bytes}, ${(cpu.machineMs / wallMs).toFixed(2)} cores${bad}`;
}

function rateText(bytesPerSecond: number): string {
  return `${(bytesPerSecond / 1e6).toFixed(2)} MB/s`;
}
