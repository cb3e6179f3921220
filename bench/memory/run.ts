import { setTimeout as delay } from 'node:timers/promises';
import { distribution } from '../support/subjects/distribution.ts';
import { onepull } from '../support/subjects/onepull.ts';
import type { Subject } from '../support/subjects/subject.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import { type MemorySample, measureMemory } from './measure-memory.ts';
import type { Parameters } from './parameters.ts';

export interface Measurements {
  readonly samples: readonly MemorySample[];
  readonly subjects: readonly Pick<Subject, 'name' | 'title' | 'version'>[];
  /** Which other caches could not take part, and why. */
  readonly absent: readonly string[];
}

/** Lets what the last measurement left behind (sockets, writes to disk) pass. */
const settleMs = 1000;

/** Runs all measurements, those with and without slow readers in turns. `progress` is told of each. */
export async function runMemory(parameters: Parameters, progress: (line: string) => void): Promise<Measurements> {
  const { rounds, blobBytes, slowReaders, peerSlowReaders } = parameters;
  const peer = await distribution({ quiet: true });
  const peers = 'absent' in peer || peerSlowReaders.length === 0 ? [] : [peer];
  const absent = 'absent' in peer ? [`Distribution was not measured (${peer.absent})`] : [];
  for (const line of absent) progress(line);
  await using upstream = await Upstream.start();
  const image = await upstream.add({ repository: 'bench/large', tag: 'v1', seed: 'large', layerSizes: [blobBytes] });
  const plan = [
    ...[0, ...slowReaders].map((readers) => ({ subject: onepull, readers })),
    ...peers.flatMap((subject) => [0, ...peerSlowReaders].map((readers) => ({ subject, readers }))),
  ];
  const samples: MemorySample[] = [];
  for (let round = 1; round <= rounds; round++) {
    // Whoever comes second finds the machine as the first one left it: they take turns at that.
    for (const { subject, readers } of round % 2 === 1 ? plan : plan.toReversed()) {
      await delay(settleMs);
      const sample = await measureMemory({ ...parameters, upstream, subject, image, round, slowReaders: readers });
      samples.push(sample);
      progress(`round ${round}/${rounds}  ${sampleText(sample)}`);
    }
  }
  const subjects = [onepull, ...peers].map(({ name, title, version }) => ({ name, title, version }));
  return { samples, subjects, absent };
}

function sampleText({ subject, slowReaders, peakBytes, coldBytesPerSecond, warmBytesPerSecond, failed }: MemorySample) {
  const memory = peakBytes === undefined ? '-' : `${(peakBytes / 2 ** 20).toFixed(0)} MiB`;
  const rates = [coldBytesPerSecond, warmBytesPerSecond].map((rate) => (rate / 1e6).toFixed(0)).join(' and ');
  const bad = failed === 0 ? '' : `, ${failed} failed`;
  return `${subject}, ${slowReaders} slow readers: peak ${memory}, fast reader ${rates} MB/s cold and warm${bad}`;
}
