import { type Spread, spread } from '../support/statistics.ts';
import type { ClientsSample, HotContent } from './measure-clients.ts';
import type { HitSample, ServerSample } from './measure-server.ts';
import type { StoreSample } from './measure-store.ts';

/** All rounds of one cache. Ratios are to the smallest cache in the same round. */
export interface SizeRow {
  readonly blobs: number;
  readonly readyMs: Spread;
  readonly firstHitMs: Spread;
  readonly stopMs: Spread;
  readonly startBytes: Spread;
  readonly longestPauseMs: Spread;
  readonly hits: readonly HitRow[];
  readonly readyRatio: Spread;
  /** Of all three look-ups together, at random over the whole cache. */
  readonly lookUpUs: Spread;
  readonly lookUpRatio: Spread;
  readonly repositoriesUs: Spread;
  readonly indexMs: Spread;
  readonly indexPauseMs: Spread;
  readonly indexBytes: number;
}

export interface HitRow extends Pick<HitSample, 'asked' | 'spread'> {
  readonly perSecond: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  /** The rate over that of the smallest cache. */
  readonly rateRatio: Spread;
  readonly failed: number;
}

export interface ClientsRow {
  readonly connections: number;
  readonly content: HotContent;
  readonly perSecond: Spread;
  readonly bytesPerSecond: Spread;
  /** The rate of answers over that of the fewest connections. */
  readonly rateRatio: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  readonly fairness: Spread;
  readonly residentBytes: Spread;
  readonly failed: number;
  readonly errors: readonly string[];
}

export function summariseSizes(servers: readonly ServerSample[], stores: readonly StoreSample[]): SizeRow[] {
  const sizes = [...new Set(servers.map(({ blobs }) => blobs))].sort((a, b) => a - b);
  const least = sizes[0] ?? 0;
  return sizes.map((blobs): SizeRow => {
    const own = servers.filter((sample) => sample.blobs === blobs);
    const ownStores = stores.filter((sample) => sample.blobs === blobs);
    const first = (round: number) => servers.find((sample) => sample.blobs === least && sample.round === round);
    const firstStore = (round: number) => stores.find((sample) => sample.blobs === least && sample.round === round);
    return {
      blobs,
      readyMs: spread(own.map(({ readyMs }) => readyMs)),
      firstHitMs: spread(own.map(({ firstHitMs }) => firstHitMs)),
      stopMs: spread(own.map(({ stopMs }) => stopMs)),
      startBytes: spread(own.map(({ startBytes }) => startBytes ?? Number.NaN)),
      longestPauseMs: spread(own.map(({ longestPauseMs }) => longestPauseMs)),
      hits: hitRows(own, first),
      readyRatio: spread(own.map(({ round, readyMs }) => readyMs / (first(round)?.readyMs ?? Number.NaN))),
      lookUpUs: spread(ownStores.map(lookUpUs)),
      lookUpRatio: spread(ownStores.map((sample) => lookUpUs(sample) / lookUpUs(firstStore(sample.round)))),
      repositoriesUs: spread(ownStores.map(({ random }) => random.repositoriesUs)),
      indexMs: spread(ownStores.map(({ index }) => index.ms)),
      indexPauseMs: spread(ownStores.map(({ index }) => index.longestPauseMs)),
      indexBytes: Math.max(...ownStores.map(({ index }) => index.sizeBytes)),
    };
  });
}

function lookUpUs(sample: StoreSample | undefined): number {
  if (sample === undefined) return Number.NaN;
  const { linkedUs, tagUs, findUs } = sample.random;
  return linkedUs + tagUs + findUs;
}

function hitRows(own: readonly ServerSample[], first: (round: number) => ServerSample | undefined): HitRow[] {
  return (own[0]?.hits ?? []).map(({ asked, spread: how }) => {
    const same = (sample: ServerSample | undefined) =>
      sample?.hits.find((hit) => hit.asked === asked && hit.spread === how);
    const hits = own.map(same).filter((hit) => hit !== undefined);
    const ratio = (sample: ServerSample) =>
      (same(sample)?.perSecond ?? Number.NaN) / (same(first(sample.round))?.perSecond ?? Number.NaN);
    return {
      asked,
      spread: how,
      perSecond: spread(hits.map(({ perSecond }) => perSecond)),
      p50Ms: spread(hits.map(({ p50Ms }) => p50Ms)),
      p99Ms: spread(hits.map(({ p99Ms }) => p99Ms)),
      rateRatio: spread(own.map(ratio)),
      failed: hits.reduce((sum, { failed }) => sum + failed, 0),
    };
  });
}

export function summariseClients(samples: readonly ClientsSample[]): ClientsRow[] {
  const groups = Map.groupBy(samples, ({ content, connections }) => `${content} ${connections}`);
  const fewest = Math.min(...samples.map(({ connections }) => connections));
  const rows = [...groups.values()].flatMap((group): ClientsRow[] => {
    const [sample] = group;
    if (sample === undefined) return [];
    const { connections, content } = sample;
    const few = (round: number) =>
      samples.find((one) => one.round === round && one.content === content && one.connections === fewest)?.perSecond;
    return [
      {
        connections,
        content,
        perSecond: spread(group.map(({ perSecond }) => perSecond)),
        bytesPerSecond: spread(group.map(({ bytesPerSecond }) => bytesPerSecond)),
        rateRatio: spread(group.map(({ round, perSecond }) => perSecond / (few(round) ?? Number.NaN))),
        p50Ms: spread(group.map(({ p50Ms }) => p50Ms)),
        p99Ms: spread(group.map(({ p99Ms }) => p99Ms)),
        fairness: spread(group.map(({ fairness }) => fairness)),
        residentBytes: spread(group.map(({ residentBytes }) => residentBytes ?? Number.NaN)),
        failed: group.reduce((sum, { failed }) => sum + failed, 0),
        errors: [...new Set(group.flatMap(({ errors }) => errors))],
      },
    ];
  });
  return rows.sort((a, b) => a.content.localeCompare(b.content) || a.connections - b.connections);
}
