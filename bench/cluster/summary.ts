import { median, quantile, type Spread, spread } from '../support/statistics.ts';
import { leastSeconds } from './bound.ts';
import type { Costs, EngineState, MissKind, MissSample } from './measure-costs.ts';
import type { CrowdSample } from './measure-crowd.ts';
import type { SpreadSample, SpreadSubject } from './measure-spread.ts';
import type { ScaleRates } from './run.ts';

/** All rounds of one subject with one number of nodes on lines of one speed. */
export interface SpreadRow {
  readonly scale: number;
  readonly subject: SpreadSubject;
  readonly nodes: number;
  readonly rounds: number;
  readonly boundSeconds: number;
  /** Until the last and the median node had the image; of rounds in which all pulls were complete. */
  readonly lastSeconds: Spread;
  readonly medianSeconds: Spread;
  /** The same of the last, over the bound. */
  readonly lastRatio: Spread;
  /** Upstream's body bytes over the image's. */
  readonly bytesRatio: Spread;
  /** What the host that sent most sent over its line, all headers included, over the image's bytes. */
  readonly mostSentRatio: Spread;
  readonly failed: number;
  readonly unfinished: number;
  /** CPU time over wall time, in cores. */
  readonly cores: { readonly nodes: number; readonly clients: number; readonly machine: Spread };
}

export interface CrowdRow {
  readonly clients: number;
  readonly imageBytes: number;
  /** The slowest client over the one direct pull of the same round. */
  readonly slowestRatio: Spread;
  readonly bytesRatio: Spread;
  /** The most of any round. */
  readonly maxBodiesPerBlob: number;
  readonly maxGetPerManifest: number;
  readonly failed: number;
  readonly errors: readonly string[];
  readonly machineCores: number;
}

export interface MissRow {
  readonly engine: EngineState;
  readonly kind: MissKind;
  readonly alone: Latency;
  readonly shared: Latency;
  /** Of each round the difference of the medians, and of the 99th percentiles. */
  readonly addedMedianMs: Spread;
  readonly addedP99Ms: Spread;
  /** The slowest one of the node in a cluster, over the median of the one on its own. */
  readonly addedMostMs: number;
}

export interface Latency {
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly mostMs: number;
}

export interface HitRow {
  readonly kind: MissKind;
  readonly alonePerSecond: Spread;
  readonly sharedPerSecond: Spread;
  readonly rateRatio: Spread;
  readonly hits: number;
  /** Calls of the engine beyond those of as long a time without a request. */
  readonly callsPerThousand: number;
}

export interface Summary {
  readonly spreads: readonly SpreadRow[];
  readonly crowds: readonly CrowdRow[];
  readonly misses: readonly MissRow[];
  readonly hits: readonly HitRow[];
}

export interface Samples {
  readonly rates: readonly ScaleRates[];
  readonly spreads: readonly SpreadSample[];
  readonly crowds: readonly CrowdSample[];
  readonly costs: Costs;
}

export function summarise({ rates, spreads, crowds, costs }: Samples): Summary {
  return {
    spreads: spreadRows(spreads, rates),
    crowds: crowdRows(crowds),
    misses: missRows(costs.misses),
    hits: hitRows(costs),
  };
}

function spreadRows(samples: readonly SpreadSample[], rates: readonly ScaleRates[]): SpreadRow[] {
  const groups = Map.groupBy(samples, ({ scale, subject, nodes }) => `${scale} ${subject} ${nodes}`);
  const rows = [...groups.values()].flatMap((group): SpreadRow[] => {
    const [first] = group;
    const lines = rates.find(({ scale }) => scale === first?.scale);
    if (first === undefined || lines === undefined) return [];
    const { scale, subject, nodes, imageBytes } = first;
    const boundSeconds = leastSeconds(imageBytes, nodes, lines);
    const complete = group.filter(({ hasMs }) => hasMs.length === nodes);
    const seconds = (figure: (hasMs: readonly number[]) => number) => complete.map(({ hasMs }) => figure(hasMs) / 1000);
    const last = seconds((hasMs) => Math.max(...hasMs));
    const total = (figure: (sample: SpreadSample) => number) => group.reduce((sum, sample) => sum + figure(sample), 0);
    const cores = (figure: (sample: SpreadSample) => number) => group.map((sample) => figure(sample) / sample.wallMs);
    return [
      {
        scale,
        subject,
        nodes,
        rounds: group.length,
        boundSeconds,
        lastSeconds: spread(last),
        medianSeconds: spread(seconds(median)),
        lastRatio: spread(last.map((value) => value / boundSeconds)),
        bytesRatio: spread(group.map(({ upstream }) => upstream.bodyBytes / imageBytes)),
        mostSentRatio: spread(group.map(({ sentBytes }) => Math.max(...sentBytes) / imageBytes)),
        failed: total(({ failed }) => failed),
        unfinished: total(({ unfinished }) => unfinished),
        cores: {
          nodes: median(cores(({ cpu }) => cpu.nodesMs)),
          clients: median(cores(({ cpu }) => cpu.clientsMs)),
          machine: spread(cores(({ cpu }) => cpu.machineMs)),
        },
      },
    ];
  });
  return rows.sort((a, b) => a.scale - b.scale || a.nodes - b.nodes || a.subject.localeCompare(b.subject));
}

function crowdRows(samples: readonly CrowdSample[]): CrowdRow[] {
  const group = samples.filter(({ subject }) => subject === 'cluster');
  const [first] = group;
  if (first === undefined) return [];
  const directMs = (round: number) =>
    samples.find((one) => one.subject === 'direct' && one.round === round)?.totalMs[0] ?? Number.NaN;
  const most = (figure: (sample: CrowdSample) => number) => Math.max(...group.map(figure));
  return [
    {
      clients: first.clients,
      imageBytes: first.imageBytes,
      slowestRatio: spread(group.map(({ round, totalMs }) => Math.max(...totalMs) / directMs(round))),
      bytesRatio: spread(group.map(({ upstream, imageBytes }) => upstream.bodyBytes / imageBytes)),
      maxBodiesPerBlob: most(({ upstream }) => upstream.maxBodiesPerBlob),
      maxGetPerManifest: most(({ upstream }) => upstream.maxGetPerManifest),
      failed: group.reduce((sum, { failed }) => sum + failed, 0),
      errors: [...new Set(group.flatMap(({ errors }) => errors))],
      machineCores: median(group.map(({ machineMs, wallMs }) => machineMs / wallMs)),
    },
  ];
}

function missRows(samples: readonly MissSample[]): MissRow[] {
  const groups = Map.groupBy(samples, ({ engine, kind }) => `${engine} ${kind}`);
  return [...groups.values()].flatMap((group): MissRow[] => {
    const [first] = group;
    if (first === undefined) return [];
    const added = (figure: (ms: readonly number[]) => number) =>
      spread(group.map(({ aloneMs, sharedMs }) => figure(sharedMs) - figure(aloneMs)));
    const alone = latencyOf(group.flatMap(({ aloneMs }) => aloneMs));
    const shared = latencyOf(group.flatMap(({ sharedMs }) => sharedMs));
    return [
      {
        engine: first.engine,
        kind: first.kind,
        alone,
        shared,
        addedMedianMs: added(median),
        addedP99Ms: added((ms) => quantile(ms, 0.99)),
        addedMostMs: shared.mostMs - alone.medianMs,
      },
    ];
  });
}

function latencyOf(ms: readonly number[]): Latency {
  return { medianMs: median(ms), p99Ms: quantile(ms, 0.99), mostMs: quantile(ms, 1) };
}

function hitRows({ hits }: Costs): HitRow[] {
  return [...Map.groupBy(hits, ({ kind }) => kind)].map(([kind, group]): HitRow => {
    const total = group.reduce((sum, { sharedHits }) => sum + sharedHits, 0);
    const calls = group.reduce((sum, { engineCalls, idleCalls }) => sum + engineCalls - idleCalls, 0);
    return {
      kind,
      alonePerSecond: spread(group.map(({ alonePerSecond }) => alonePerSecond)),
      sharedPerSecond: spread(group.map(({ sharedPerSecond }) => sharedPerSecond)),
      rateRatio: spread(group.map(({ alonePerSecond, sharedPerSecond }) => sharedPerSecond / alonePerSecond)),
      hits: total,
      callsPerThousand: Math.max(0, calls / total) * 1000,
    };
  });
}
