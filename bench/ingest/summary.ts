import { median, type Spread, spread } from '../support/statistics.ts';
import type { IngestSample } from './measure-ingest.ts';

/** All rounds of one subject. */
export interface Row {
  readonly subject: string;
  readonly rounds: number;
  /** Bytes for each second. */
  readonly rate: Spread;
  /** onepull's rate over this one's in the same round. */
  readonly onepullOver: Spread;
  /** CPU time for each byte, in s: the subject's, upstream's and the client's. */
  readonly cost: { readonly subject: Spread; readonly upstream: number; readonly client: number };
  readonly peakMemoryBytes: number | undefined;
  readonly failed: number;
  readonly errors: readonly string[];
}

/** One row for each subject, in the order of their first samples. */
export function summarise(samples: readonly IngestSample[]): Row[] {
  const groups = Map.groupBy(samples, ({ subject }) => subject);
  return [...groups].map(([subject, group]) => {
    const good = group.filter(({ errors }) => errors.length === 0);
    const perByte = (figure: (sample: IngestSample) => number) =>
      good.map((sample) => figure(sample) / 1000 / sample.bytes);
    const memory = good.map(({ peakMemoryBytes }) => peakMemoryBytes).filter((bytes) => bytes !== undefined);
    return {
      subject,
      rounds: group.length,
      rate: spread(good.map(rateOf)),
      onepullOver: ratio(samples, 'onepull', subject),
      cost: {
        subject: spread(perByte(({ subjectMs }) => subjectMs ?? Number.NaN)),
        upstream: median(perByte(({ upstreamMs }) => upstreamMs)),
        client: median(perByte(({ clientMs }) => clientMs)),
      },
      peakMemoryBytes: memory.length === 0 ? undefined : Math.max(...memory),
      failed: group.length - good.length,
      errors: [...new Set(group.flatMap(({ errors }) => errors))],
    };
  });
}

/** The rate of one over that of another in the same round, of all rounds in which both went well. */
export function ratio(samples: readonly IngestSample[], one: string, other: string): Spread {
  const ratesOf = (name: string) => {
    const own = samples.filter(({ subject, errors }) => subject === name && errors.length === 0);
    return new Map(own.map((sample) => [sample.round, rateOf(sample)]));
  };
  const [rates, others] = [ratesOf(one), ratesOf(other)];
  const rounds = [...rates.keys()].filter((round) => others.has(round));
  return spread(rounds.map((round) => (rates.get(round) ?? Number.NaN) / (others.get(round) ?? Number.NaN)));
}

export function rateOf({ bytes, seconds }: IngestSample): number {
  return bytes / seconds;
}
