import type { BurstSample } from '../../bench/cold-burst/measure-burst.ts';

const quiet = {
  bodyBytes: 1000,
  headManifest: 1,
  getManifest: 1,
  headBlob: 0,
  getBlob: 4,
  other: 0,
  maxHeadPerManifest: 1,
  maxGetPerManifest: 1,
  maxBodiesPerBlob: 1,
  maxConcurrentBodiesPerBlob: 1,
  repeatedBytes: 0,
};

/** What a perfect cache would be measured with, but for what is told. */
export function burstSample(
  told: Partial<Omit<BurstSample, 'upstream'>> & { upstream?: Partial<typeof quiet> } = {},
): BurstSample {
  const { upstream, ...rest } = told;
  return {
    round: 1,
    subject: 'onepull',
    imageBytes: 1000,
    clients: 64,
    totalMs: [100],
    firstByteMs: [10],
    failed: 0,
    unfinished: 0,
    errors: [],
    wallMs: 200,
    cpu: {
      busiestClientsMs: 20,
      clientsMs: 20,
      upstreamMs: 10,
      subjectMs: 100,
      machineMs: 200,
      subjectPeakMemoryBytes: 1e8,
    },
    ...rest,
    upstream: { ...quiet, ...upstream },
  };
}

/** The direct pull of a round. */
export function directSample(round: number, ms: number): BurstSample {
  return burstSample({ subject: 'direct', clients: 1, round, totalMs: [ms] });
}
