import { productVersion } from '../../src/config/version.ts';
import { needs } from '../../test/support/need.ts';
import { ClientFleet } from '../support/clients/client-fleet.ts';
import { direct } from '../support/subjects/direct.ts';
import { distribution } from '../support/subjects/distribution.ts';
import { onepullServer } from '../support/subjects/onepull-server.ts';
import type { Subject } from '../support/subjects/subject.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import { quietSettings } from '../throughput/subjects.ts';
import { type IngestSample, type IngestSetup, measureIngest, measurePipe } from './measure-ingest.ts';
import type { Parameters } from './parameters.ts';

export interface Measurements {
  readonly samples: readonly IngestSample[];
  readonly subjects: readonly Pick<Subject, 'name' | 'title'>[];
  /** What could not take part, and why. */
  readonly absent: readonly string[];
}

/** What is measured in each round. */
export interface Contestant {
  readonly name: string;
  readonly title: string;
  readonly measure: (setup: IngestSetup) => Promise<IngestSample>;
}

export interface Contestants {
  readonly contestants: readonly Contestant[];
  readonly absent: readonly string[];
}

export async function runIngest(
  { rounds, blobBytes, capMs }: Parameters,
  { contestants, absent }: Contestants,
  progress: (line: string) => void,
): Promise<Measurements> {
  await using upstream = await Upstream.start();
  await using fleet = new ClientFleet(1);
  const image = await upstream.add({ repository: 'bench/cold', tag: 'v1', seed: 'cold', layerSizes: [blobBytes] });
  const samples: IngestSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    // Whoever comes second finds the machine, and its disk, as the first one left it: they take turns at that.
    for (const contestant of round % 2 === 1 ? contestants : contestants.toReversed()) {
      const sample = await measured(contestant, { upstream, fleet, image, round, capMs });
      samples.push(sample);
      progress(`round ${round}/${rounds}  ${sampleText(sample)}`);
    }
  }
  return { samples, subjects: contestants.map(({ name, title }) => ({ name, title })), absent };
}

/** One that does not start is told of, and the others go on. */
async function measured({ name, measure }: Contestant, setup: IngestSetup): Promise<IngestSample> {
  try {
    return await measure(setup);
  } catch (error) {
    const nothing = { bytes: 0, seconds: 0, subjectMs: undefined, upstreamMs: 0, clientMs: 0, machineMs: 0 };
    const errors = [(error as Error).message.split('\n')[0] ?? ''];
    return { round: setup.round, subject: name, ...nothing, peakMemoryBytes: undefined, errors };
  }
}

export const pipeName = 'curl | sha256sum';

export async function peersAndOwn(): Promise<Contestants> {
  const own = (name: string, note: string, settings: Readonly<Record<string, unknown>>) =>
    contestantOf(
      onepullServer({
        name,
        title: `onepull ${productVersion()}${note}`,
        settings: { ...quietSettings, ...settings },
      }),
    );
  const peer = await distribution({ quiet: true });
  const pipeNeeds = needs('curl', 'sha256sum');
  const pipe: Contestant = { name: pipeName, title: pipeName, measure: (setup) => measurePipe(pipeName, setup) };
  return {
    contestants: [
      own('onepull', '', {}),
      own('onepull, no threads', ' (server.threads: 0)', { server: { threads: 0 } }),
      ...('absent' in peer ? [] : [contestantOf(peer)]),
      ...(pipeNeeds === false ? [pipe] : []),
      contestantOf(direct),
    ],
    absent: [
      ...('absent' in peer ? [`Distribution was not measured (${peer.absent})`] : []),
      ...(pipeNeeds === false ? [] : [`${pipeName} was not measured (${pipeNeeds})`]),
    ],
  };
}

export function contestantOf(subject: Subject): Contestant {
  return { name: subject.name, title: subject.title, measure: (setup) => measureIngest(subject, setup) };
}

function sampleText({ subject, bytes, seconds, subjectMs, upstreamMs, errors }: IngestSample): string {
  if (errors.length > 0) return `${subject.padEnd(20)} ${errors.join('; ')}`;
  const cpu = `${((subjectMs ?? 0) / 1000).toFixed(2)} s of CPU, upstream ${(upstreamMs / 1000).toFixed(2)} s`;
  return `${subject.padEnd(20)} ${(bytes / 1e9 / seconds).toFixed(2)} GB/s, ${cpu}`;
}
