import { type Spread, spread } from '../support/statistics.ts';
import type { PageOutcome, PageSample } from './measure-page.ts';
import type { AdminSample, LoadName } from './run.ts';

/** All rounds of one load with so many viewers. */
export interface AdminRow {
  readonly load: LoadName;
  readonly viewers: number;
  readonly rounds: number;
  readonly perSecond: Spread;
  readonly bytesPerSecond: Spread;
  /** The rate over that without viewers in the same round; of bodies in bytes, else in answers. NaN without a load. */
  readonly ratio: Spread;
  /** CPU of the server, in cores. */
  readonly cores: Spread;
  /** What it took more than without viewers, in the same round. */
  readonly addedCores: Spread;
  /** Events that one viewer got in a second, and the size of one. */
  readonly eventsPerSecond: Spread;
  readonly eventBytes: Spread;
  readonly errors: readonly string[];
}

export function summarise(samples: readonly AdminSample[]): AdminRow[] {
  const groups = Map.groupBy(samples, ({ load, viewers }) => `${load} ${viewers}`);
  return [...groups.values()]
    .flatMap((group) => (group[0] === undefined ? [] : [rowOf(group[0], group, samples)]))
    .sort((a, b) => (a.load === b.load ? a.viewers - b.viewers : 0));
}

function rowOf({ load, viewers }: AdminSample, group: readonly AdminSample[], all: readonly AdminSample[]): AdminRow {
  const alone = (round: number) => all.find((one) => one.load === load && one.round === round && one.viewers === 0);
  const rate = ({ bytes, requests, seconds }: AdminSample) => (load === 'blob' ? bytes : requests) / seconds;
  const cores = ({ cpuMs, seconds }: AdminSample) => cpuMs / seconds / 1000;
  const figure = (of: (sample: AdminSample) => number) => spread(group.map(of));
  const beside = (of: (sample: AdminSample, other: AdminSample) => number) =>
    spread(
      group.flatMap((sample) => {
        const other = alone(sample.round);
        return other === undefined ? [] : [of(sample, other)];
      }),
    );
  const watched = group.filter(({ told }) => told.events > 0);
  return {
    load,
    viewers,
    rounds: group.length,
    perSecond: figure(({ requests, seconds }) => requests / seconds),
    bytesPerSecond: figure(({ bytes, seconds }) => bytes / seconds),
    ratio: beside((sample, other) => rate(sample) / rate(other)),
    cores: figure(cores),
    addedCores: beside((sample, other) => cores(sample) - cores(other)),
    eventsPerSecond: spread(watched.map(({ told, seconds }) => told.events / viewers / seconds)),
    eventBytes: spread(watched.map(({ told }) => told.bytes / told.events)),
    errors: [...new Set(group.flatMap(({ errors }) => errors))],
  };
}

/** All rounds of the page. */
export interface PageRow {
  readonly eventsPerSecond: Spread;
  /** CPU time of its main thread for each event, and what of that were scripts, layout and styles. In ms. */
  readonly taskMs: Spread;
  readonly scriptMs: Spread;
  readonly layoutMs: Spread;
  readonly styleMs: Spread;
  /** Of the whole browser, in cores. */
  readonly browserCores: Spread;
  readonly heapBytes: Spread;
  /** At the end over that at the start. */
  readonly heapGrowth: Spread;
  readonly nodes: Spread;
}

/** `skipped` says what was missing. */
export type PageSummary = PageRow | { readonly skipped: string };

export function summarisePage(outcome: PageOutcome): PageSummary {
  if ('skipped' in outcome) return outcome;
  const figure = (of: (sample: PageSample) => number) => spread(outcome.samples.map(of));
  return {
    eventsPerSecond: figure(({ events, seconds }) => events / seconds),
    taskMs: figure(({ taskMs, events }) => taskMs / events),
    scriptMs: figure(({ scriptMs, events }) => scriptMs / events),
    layoutMs: figure(({ layoutMs, events }) => layoutMs / events),
    styleMs: figure(({ styleMs, events }) => styleMs / events),
    browserCores: figure(({ browserMs, seconds }) => browserMs / seconds / 1000),
    heapBytes: figure(({ heapBytes: [, end] }) => end),
    heapGrowth: figure(({ heapBytes: [start, end] }) => end / start),
    nodes: figure(({ nodes: [, end] }) => end),
  };
}
