import { setTimeout as delay } from 'node:timers/promises';
import { ClientFleet } from '../support/clients/client-fleet.ts';
import { direct } from '../support/subjects/direct.ts';
import { distribution } from '../support/subjects/distribution.ts';
import { onepull } from '../support/subjects/onepull.ts';
import type { Subject } from '../support/subjects/subject.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import type { UpstreamImage } from '../support/upstream/upstream-child.ts';
import { type BurstSample, measureBurst } from './measure-burst.ts';
import { type LatencySample, measureLatency } from './measure-latency.ts';
import { measureWarm, type WarmSample } from './measure-warm.ts';
import { layerSizes, type Parameters } from './parameters.ts';

export interface Measurements {
  readonly bursts: readonly BurstSample[];
  readonly latencies: readonly LatencySample[];
  readonly warm: WarmSample;
  readonly subjects: readonly Pick<Subject, 'name' | 'title' | 'version'>[];
  /** Which other caches could not take part, and why. */
  readonly absent: readonly string[];
}

/** Subjects that pull the same image, so that their figures compare. */
interface Contest {
  readonly image: UpstreamImage;
  readonly subjects: readonly Subject[];
  readonly clients: readonly number[];
}

/** Lets what the last measurement left behind (sockets, writes to disk) pass. */
const settleMs = 250;

/** Runs all measurements. `progress` is told of each. */
export async function runColdBurst(parameters: Parameters, progress: (line: string) => void): Promise<Measurements> {
  const peer = await distribution();
  const peers = 'absent' in peer ? [] : [peer];
  const absent = 'absent' in peer ? [`Distribution was not measured (${peer.absent})`] : [];
  for (const line of absent) progress(line);
  progress('latency of waiters and ranges');
  const latencies = await measureLatency(parameters.waiters, parameters.latencyRepeats);
  progress('warm pulls');
  const warm = await measureWarm();
  const bursts = await runRounds(parameters, peers, progress);
  const subjects = [onepull, ...peers, direct].map(({ name, title, version }) => ({ name, title, version }));
  return { bursts, latencies, warm, subjects, absent };
}

async function runRounds(
  parameters: Parameters,
  peers: readonly Subject[],
  progress: (line: string) => void,
): Promise<BurstSample[]> {
  await using upstream = await Upstream.start({ bytesPerSecond: parameters.lineBytesPerSecond });
  await using fleet = new ClientFleet(parameters.clientProcesses);
  const contests = await prepare(upstream, parameters, peers);
  const samples: BurstSample[] = [];
  const measure = async (subject: Subject, image: UpstreamImage, clients: number, round: number) => {
    await delay(settleMs);
    const { verify, capMs } = parameters;
    const sample = await measureBurst({ upstream, fleet, subject, image, round, clients, verify, capMs });
    samples.push(sample);
    progress(`round ${round}/${parameters.rounds}  ${sampleText(sample)}`);
  };
  for (let round = 1; round <= parameters.rounds; round++) {
    for (const { image, subjects, clients } of contests) {
      await measure(direct, image, 1, round);
      for (const count of clients) {
        // Whoever comes second finds the machine as the first one left it: they take turns at that.
        for (const subject of round % 2 === 1 ? subjects : subjects.toReversed()) {
          await measure(subject, image, count, round);
        }
      }
    }
  }
  return samples;
}

async function prepare(upstream: Upstream, parameters: Parameters, peers: readonly Subject[]): Promise<Contest[]> {
  const image = (seed: string, bytes: number) => {
    return upstream.add({ repository: `bench/${seed}`, tag: 'v1', seed, layerSizes: layerSizes(bytes) });
  };
  const contests: Contest[] = [
    { image: await image('full', parameters.imageBytes), subjects: [onepull], clients: parameters.clients },
  ];
  if (peers.length > 0 && parameters.peerClients.length > 0) {
    const small = await image('compared', parameters.peerImageBytes);
    contests.push({ image: small, subjects: [onepull, ...peers], clients: parameters.peerClients });
  }
  return contests;
}

function sampleText({ subject, clients, imageBytes, totalMs, failed, unfinished, upstream }: BurstSample): string {
  const slowest = totalMs.length === 0 ? '-' : `${(Math.max(...totalMs) / 1000).toFixed(2)} s`;
  const bytes = (upstream.bodyBytes / imageBytes).toFixed(3);
  const size = `${(imageBytes / 2 ** 20).toFixed(1)} MiB`;
  const bad = failed + unfinished === 0 ? '' : `, ${failed} failed, ${unfinished} unfinished`;
  const what = `${subject.padEnd(12)} ${String(clients).padStart(3)} x ${size.padEnd(9)}`;
  return `${what} slowest ${slowest}, ${bytes}x upstream bytes${bad}`;
}
