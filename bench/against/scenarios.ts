import { type BurstSample, measureBurst } from '../cold-burst/measure-burst.ts';
import { fullRun as fullBurst, layerSizes, quickRun as quickBurst } from '../cold-burst/parameters.ts';
import { parametersOf as ingestParameters } from '../ingest/command.ts';
import { contestantOf, runIngest } from '../ingest/run.ts';
import { rateOf as ingestRateOf } from '../ingest/summary.ts';
import { ClientFleet } from '../support/clients/client-fleet.ts';
import type { Subject } from '../support/subjects/subject.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import { type Case, caseName, casesOf } from '../throughput/cases.ts';
import { chosenCases, parametersOf as throughputParameters } from '../throughput/command.ts';
import type { LoadSample } from '../throughput/measure-load.ts';
import { runThroughput } from '../throughput/run.ts';
import { rateOf } from '../throughput/summary.ts';
import type { FigureSample } from './figures.ts';

export interface Request {
  readonly quick: boolean;
  readonly rounds: number;
  readonly seconds: number | undefined;
  readonly only: string | undefined;
  /** The two. */
  readonly subjects: readonly Subject[];
}

/** Measures both subjects, which take turns, and tells what went wrong. */
export type Scenario = (
  request: Request,
  progress: (line: string) => void,
) => Promise<{ samples: FigureSample[]; problems: readonly string[] }>;

/** What can be compared, by the names of the benchmarks that the measurements come from. */
export const scenarios: Readonly<Record<string, Scenario>> = { throughput, ingest, 'cold-burst': coldBurst };

async function throughput({ quick, rounds, seconds, only, subjects }: Request, progress: (line: string) => void) {
  const parameters = throughputParameters({ quick, rounds, ...(seconds !== undefined && { seconds }) });
  const names = subjects.map(({ name }) => name);
  const plain = casesOf(parameters).filter((one) => one.subjects.includes('onepull'));
  const cases = chosenCases(plain, only === undefined ? {} : { only }).map((one) => ({ ...one, subjects: names }));
  const make = async (name: string) => subjects.find((one) => one.name === name) ?? { absent: 'it is not compared' };
  const { samples, absent } = await runThroughput({ parameters, cases, make }, progress);
  const byName = new Map(cases.map((one) => [caseName(one), one]));
  const good = samples.filter(({ errors }) => errors.length === 0);
  const bad = samples.flatMap((s) => s.errors.map((error) => `${s.case}, ${s.subject}, round ${s.round}: ${error}`));
  const figures = good.flatMap((sample) => {
    const one = byName.get(sample.case);
    return one === undefined ? [] : loadFigures(one, sample);
  });
  return { samples: figures, problems: [...absent, ...bad] };
}

function loadFigures(one: Case, sample: LoadSample): FigureSample[] {
  const rate = rateOf(one, sample);
  const { subject, round, seconds, cpu } = sample;
  const base = { subject, round };
  const isBytes = one.unit === 'bytes';
  const more: FigureSample = {
    ...base,
    figure: sample.case,
    value: isBytes ? rate / 1e9 : rate,
    unit: isBytes ? 'GB/s' : '/s',
    better: 'more',
  };
  if (cpu.subjectMs === undefined) return [more];
  const cost = cpu.subjectMs / 1000 / (rate * seconds);
  const less: FigureSample = {
    ...base,
    figure: `${sample.case}: CPU`,
    value: isBytes ? cost * 1e9 : cost * 1e6,
    unit: isBytes ? 's/GB' : 'µs',
    better: 'less',
  };
  return [more, less];
}

async function ingest({ quick, rounds, subjects }: Request, progress: (line: string) => void) {
  const parameters = ingestParameters({ quick, rounds });
  const contestants = subjects.map(contestantOf);
  const { samples } = await runIngest(parameters, { contestants, absent: [] }, progress);
  const good = samples.filter(({ errors }) => errors.length === 0);
  const figures = good.flatMap((sample): FigureSample[] => {
    const { subject, round, bytes, subjectMs } = sample;
    const cpu = (subjectMs ?? Number.NaN) / 1000 / (bytes / 1e9);
    return [
      { figure: 'ingest', subject, round, value: ingestRateOf(sample) / 1e9, unit: 'GB/s', better: 'more' },
      { figure: 'ingest: CPU', subject, round, value: cpu, unit: 's/GB', better: 'less' },
    ];
  });
  return {
    samples: figures,
    problems: samples.flatMap((s) => s.errors.map((error) => `ingest, ${s.subject}: ${error}`)),
  };
}

const burstClients = 64;

async function coldBurst({ quick, rounds, subjects }: Request, progress: (line: string) => void) {
  const { imageBytes, lineBytesPerSecond, verify, capMs } = quick ? quickBurst : fullBurst;
  await using upstream = await Upstream.start({ bytesPerSecond: lineBytesPerSecond });
  await using fleet = new ClientFleet(1);
  const layers = layerSizes(imageBytes);
  const image = await upstream.add({ repository: 'bench/full', tag: 'v1', seed: 'full', layerSizes: layers });
  const samples: BurstSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const subject of round % 2 === 1 ? subjects : subjects.toReversed()) {
      const setup = { upstream, fleet, subject, image, round, clients: burstClients, verify, capMs };
      samples.push(await measureBurst(setup));
      progress(`round ${round}/${rounds}  cold burst of ${burstClients}, ${subject.name}`);
    }
  }
  const good = samples.filter(({ failed, unfinished }) => failed + unfinished === 0);
  const bad = samples.filter((sample) => !good.includes(sample));
  const what = `cold burst of ${burstClients}`;
  const figures = good.flatMap(({ subject, round, totalMs, cpu }): FigureSample[] => {
    const base = { subject, round, better: 'less' } as const;
    return [
      { ...base, figure: `${what}: slowest pull`, value: Math.max(...totalMs) / 1000, unit: 's' },
      { ...base, figure: `${what}: CPU`, value: (cpu.subjectMs ?? Number.NaN) / 1000, unit: 's' },
    ];
  });
  return {
    samples: figures,
    problems: bad.map((s) => `${what}, ${s.subject}: ${s.failed} failed: ${s.errors.join('; ')}`),
  };
}
