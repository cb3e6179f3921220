import { type Spread, spread } from '../support/statistics.ts';
import type { FailoverSample } from './measure-failover.ts';
import type { Limit, SplitSample } from './measure-split.ts';

/** All rounds of one limit with so many connections allowed. */
export interface SplitRow {
  readonly limit: Limit;
  readonly allowed: number;
  readonly used: number;
  readonly rounds: number;
  /** Pulls that failed or were not done in time; the ratios are of the others. */
  readonly failed: number;
  readonly seconds: Spread;
  /** The rate over that of one connection in the same round. */
  readonly rateRatio: Spread;
  readonly bytesRatio: Spread;
  readonly requests: Spread;
  readonly peakMemoryBytes: number;
}

export interface FailoverRow {
  readonly dies: boolean;
  readonly clients: number;
  readonly rounds: number;
  readonly failed: number;
  readonly seconds: Spread;
  /** The slowest pull over that of the same round in which both endpoints live. */
  readonly slowestRatio: Spread;
  readonly bytesRatio: Spread;
  readonly nextSeconds: Spread;
  readonly errors: readonly string[];
}

export function summariseSplits(samples: readonly SplitSample[]): SplitRow[] {
  const groups = Map.groupBy(samples, ({ limit, allowed }) => `${limit} ${allowed}`);
  const rows = [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [splitRow(first, group, samples)];
  });
  return rows.sort((a, b) => a.limit.localeCompare(b.limit) || a.allowed - b.allowed);
}

function splitRow(
  { limit, allowed }: SplitSample,
  group: readonly SplitSample[],
  all: readonly SplitSample[],
): SplitRow {
  const done = group.filter(({ totalMs }) => totalMs !== undefined);
  const single = (round: number) =>
    all.find((one) => one.limit === limit && one.round === round && one.allowed === 1)?.totalMs ?? Number.NaN;
  return {
    limit,
    allowed,
    used: Math.max(...group.map(({ used }) => used)),
    rounds: group.length,
    failed: group.length - done.length,
    seconds: spread(done.map(({ totalMs }) => (totalMs ?? Number.NaN) / 1000)),
    rateRatio: spread(done.map(({ round, totalMs }) => single(round) / (totalMs ?? Number.NaN))),
    bytesRatio: spread(group.map(({ bodyBytes, imageBytes }) => bodyBytes / imageBytes)),
    requests: spread(group.map(({ requests }) => requests)),
    peakMemoryBytes: Math.max(...group.map(({ peakMemoryBytes }) => peakMemoryBytes ?? 0)),
  };
}

export function summariseFailovers(samples: readonly FailoverSample[]): FailoverRow[] {
  return [false, true].flatMap((dies) => {
    const group = samples.filter((sample) => sample.dies === dies);
    const [first] = group;
    return first === undefined ? [] : [failoverRow(first, group, samples)];
  });
}

function failoverRow(
  { dies, clients }: FailoverSample,
  group: readonly FailoverSample[],
  all: readonly FailoverSample[],
): FailoverRow {
  const done = group.filter(({ slowestMs }) => slowestMs !== undefined);
  const calm = (round: number) => all.find((one) => one.round === round && !one.dies)?.slowestMs ?? Number.NaN;
  return {
    dies,
    clients,
    rounds: group.length,
    failed: group.reduce((sum, { failed }) => sum + failed, 0),
    seconds: spread(done.map(({ slowestMs }) => (slowestMs ?? Number.NaN) / 1000)),
    slowestRatio: spread(done.map(({ round, slowestMs }) => (slowestMs ?? Number.NaN) / calm(round))),
    bytesRatio: spread(group.map(({ bodyBytes, imageBytes }) => bodyBytes / imageBytes)),
    nextSeconds: spread(group.map(({ nextMs }) => (nextMs ?? Number.NaN) / 1000)),
    errors: [...new Set(group.flatMap(({ errors }) => errors))],
  };
}
