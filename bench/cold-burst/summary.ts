import { median, type Spread, spread } from '../support/statistics.ts';
import type { BurstSample } from './measure-burst.ts';

/** All rounds of one subject with one number of clients and one image. */
export interface Row {
  readonly subject: string;
  readonly clients: number;
  readonly imageBytes: number;
  readonly rounds: number;
  /** Upstream's body bytes over the image's bytes. */
  readonly bytesRatio: Spread;
  /** The slowest and the median pull of a round over the direct pull of that round. */
  readonly slowestRatio: Spread;
  readonly medianRatio: Spread;
  /** False where pulls failed or did not finish: then the ratios tell of the others only, and bytes are a lower bound. */
  readonly isComplete: boolean;
  readonly firstByteMedianMs: Spread;
  readonly firstByteSlowestMs: Spread;
  readonly failed: number;
  readonly unfinished: number;
  readonly upstream: WorstRequests;
  /** CPU time over wall time, in cores. */
  readonly cpu: { readonly clients: number; readonly subject: number | undefined; readonly machine: number };
  readonly peakMemoryBytes: number | undefined;
}

/** The most of any round. */
export interface WorstRequests {
  readonly headManifest: number;
  readonly getManifest: number;
  readonly headBlob: number;
  readonly getBlob: number;
  readonly maxHeadPerManifest: number;
  readonly maxGetPerManifest: number;
  readonly maxBodiesPerBlob: number;
  readonly maxConcurrentBodiesPerBlob: number;
}

const requestFigures = [
  'headManifest',
  'getManifest',
  'headBlob',
  'getBlob',
  'maxHeadPerManifest',
  'maxGetPerManifest',
  'maxBodiesPerBlob',
  'maxConcurrentBodiesPerBlob',
] as const;

/** One row for each group of samples, direct pulls among them, in the order of their first samples. */
export function summarise(samples: readonly BurstSample[]): Row[] {
  const groups = Map.groupBy(samples, ({ subject, imageBytes, clients }) => `${subject} ${imageBytes} ${clients}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [rowOf(first, group, directTimes(samples, first.imageBytes))];
  });
}

/** The time of the direct pull of each round. */
function directTimes(samples: readonly BurstSample[], imageBytes: number): ReadonlyMap<number, number> {
  const direct = samples.filter((sample) => sample.subject === 'direct' && sample.imageBytes === imageBytes);
  return new Map(direct.map(({ round, totalMs }) => [round, totalMs[0] ?? Number.NaN]));
}

function rowOf(
  { subject, clients, imageBytes }: BurstSample,
  group: readonly BurstSample[],
  directMs: ReadonlyMap<number, number>,
): Row {
  const withPulls = group.filter(({ totalMs }) => totalMs.length > 0);
  const ratio = (figure: (sample: BurstSample) => number) => {
    return spread(withPulls.map((sample) => figure(sample) / (directMs.get(sample.round) ?? Number.NaN)));
  };
  const total = (figure: (sample: BurstSample) => number) => group.reduce((sum, sample) => sum + figure(sample), 0);
  const [failed, unfinished] = [total((sample) => sample.failed), total((sample) => sample.unfinished)];
  return {
    subject,
    clients,
    imageBytes,
    rounds: group.length,
    bytesRatio: spread(group.map(({ upstream }) => upstream.bodyBytes / imageBytes)),
    slowestRatio: ratio(({ totalMs }) => Math.max(...totalMs)),
    medianRatio: ratio(({ totalMs }) => median(totalMs)),
    isComplete: failed + unfinished === 0,
    firstByteMedianMs: spread(withPulls.map(({ firstByteMs }) => median(firstByteMs))),
    firstByteSlowestMs: spread(withPulls.map(({ firstByteMs }) => Math.max(...firstByteMs))),
    failed,
    unfinished,
    upstream: worstOf(group),
    cpu: {
      clients: median(group.map(({ cpu, wallMs }) => cpu.busiestClientsMs / wallMs)),
      subject: medianOfKnown(group.map(({ cpu, wallMs }) => cpu.subjectMs && cpu.subjectMs / wallMs)),
      machine: median(group.map(({ cpu, wallMs }) => cpu.machineMs / wallMs)),
    },
    peakMemoryBytes: medianOfKnown(group.map(({ cpu }) => cpu.subjectPeakMemoryBytes)),
  };
}

function worstOf(group: readonly BurstSample[]): WorstRequests {
  const worst = requestFigures.map((name) => [name, Math.max(...group.map(({ upstream }) => upstream[name]))]);
  return Object.fromEntries(worst) as { [name in (typeof requestFigures)[number]]: number };
}

function medianOfKnown(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : median(known);
}
