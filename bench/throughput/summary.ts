import { median, type Spread, spread } from '../support/statistics.ts';
import { type Case, caseName } from './cases.ts';
import type { LoadSample } from './measure-load.ts';

/** All rounds of one subject under one load. */
export interface Row {
  readonly case: Case;
  readonly subject: string;
  readonly rounds: number;
  /** Answers, or bytes, for each second. */
  readonly rate: Spread;
  /** CPU time of the subject for each answer in s, or for each byte. Undefined where the system does not tell. */
  readonly cost: number | undefined;
  /** CPU time over wall time. */
  readonly cores: { readonly subject: number | undefined; readonly client: number; readonly machine: number };
  readonly latencyMs: { readonly p50: number; readonly p99: number } | undefined;
  /** Rounds that went wrong; the other figures are of the rest. */
  readonly failed: number;
  readonly errors: readonly string[];
}

/** One row for each case and subject, in the order of the cases. */
export function summarise(cases: readonly Case[], samples: readonly LoadSample[]): Row[] {
  return cases.flatMap((one) => {
    const name = caseName(one);
    return one.subjects.flatMap((subject) => {
      const group = samples.filter((sample) => sample.case === name && sample.subject === subject);
      return group.length === 0 ? [] : [rowOf(one, subject, group)];
    });
  });
}

function rowOf(one: Case, subject: string, group: readonly LoadSample[]): Row {
  const good = group.filter(({ errors }) => errors.length === 0);
  const latencies = good.map(({ latencyMs }) => latencyMs).filter((latency) => latency !== undefined);
  const cores = (figure: (sample: LoadSample) => number) => {
    return median(good.map((sample) => figure(sample) / 1000 / sample.seconds));
  };
  const told = good.filter(({ cpu }) => cpu.subjectMs !== undefined);
  const subjectMs = ({ cpu }: LoadSample) => cpu.subjectMs ?? Number.NaN;
  return {
    case: one,
    subject,
    rounds: group.length,
    rate: spread(good.map((sample) => rateOf(one, sample))),
    cost:
      told.length === 0
        ? undefined
        : median(told.map((sample) => subjectMs(sample) / 1000 / (rateOf(one, sample) * sample.seconds))),
    cores: {
      subject: told.length === 0 ? undefined : cores(subjectMs),
      client: cores(({ cpu }) => cpu.clientMs),
      machine: cores(({ cpu }) => cpu.machineMs),
    },
    latencyMs:
      latencies.length === 0
        ? undefined
        : { p50: median(latencies.map(({ p50 }) => p50)), p99: median(latencies.map(({ p99 }) => p99)) },
    failed: group.length - good.length,
    errors: [...new Set(group.flatMap(({ errors }) => errors))],
  };
}

export function rateOf({ unit }: Pick<Case, 'unit'>, { requests, bytes, seconds }: LoadSample): number {
  return (unit === 'requests' ? requests : bytes) / seconds;
}

/** One subject under one load. */
export interface Contestant {
  readonly case: Case;
  readonly subject: string;
}

/** The rate of one over that of another in the same round, of all rounds in which both went well. */
export function ratio(samples: readonly LoadSample[], one: Contestant, other: Contestant): Spread {
  const ratesOf = ({ case: load, subject }: Contestant) => {
    const name = caseName(load);
    const own = samples.filter((s) => s.case === name && s.subject === subject && s.errors.length === 0);
    return new Map(own.map((sample) => [sample.round, rateOf(load, sample)]));
  };
  const [rates, others] = [ratesOf(one), ratesOf(other)];
  const rounds = [...rates.keys()].filter((round) => others.has(round));
  return spread(rounds.map((round) => (rates.get(round) ?? Number.NaN) / (others.get(round) ?? Number.NaN)));
}
