import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { count, size } from '../support/arguments.ts';
import { describeMachine } from '../support/machine.ts';
import { progressLines } from '../support/progress-lines.ts';
import { resultsFolder, writeResults } from '../support/results.ts';
import { verdictText } from '../support/verdict.ts';
import { type Case, caseName, casesOf } from './cases.ts';
import { throughputChart } from './chart.ts';
import { fullRun, type Parameters, quickRun } from './parameters.ts';
import { profileThroughput } from './profile.ts';
import { throughputReport } from './report.ts';
import { runThroughput } from './run.ts';
import { subjectOf } from './subjects.ts';
import { summarise } from './summary.ts';
import { judge } from './targets.ts';

interface Options {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly seconds?: number;
  readonly blob?: number;
  readonly only?: string;
  readonly subjects?: string;
  readonly profile?: string;
  readonly out: string;
}

export function addThroughput(bench: Command, commandLine: string): void {
  bench
    .command('throughput')
    .description(
      'Hot manifests, blobs and ranges, plain and over TLS: answers and bytes for each second, beside peers.',
    )
    .option('--quick', 'two minutes: one round of 1 s, fewer connections')
    .addOption(new Option('--rounds <n>', 'how often all is measured').argParser(count))
    .addOption(new Option('--seconds <n>', 'how long each measurement takes').argParser(count))
    .addOption(new Option('--blob <size>', 'size of the large blob, as 256MiB').argParser(size))
    .option('--only <words>', 'only measurements whose name holds this, as "GET manifest" or "(TLS)"')
    .option('--subjects <words>', 'only subjects whose name begins with one of these, as onepull,nginx')
    .option('--profile <dir>', 'instead: profile onepull under each load; profiles and their top lines go there')
    .option('--out <dir>', 'where results go', resultsFolder)
    .action((options: Options) => throughput(options, commandLine));
}

async function throughput(options: Options, commandLine: string): Promise<void> {
  const parameters = parametersOf(options);
  const machine = describeMachine(commandLine);
  const cases = chosenCases(casesOf(parameters), options);
  if (options.profile !== undefined) {
    await profile(parameters, cases, resolve(options.profile));
    return;
  }
  const measured = await runThroughput({ parameters, cases, make: subjectOf }, progressLines());
  const { samples, subjects, absent, manifestBytes } = measured;
  const rows = summarise(cases, samples);
  const verdicts = judge(cases, samples);
  const titles = new Map(subjects.map(({ name, title }) => [name, title]));
  const report = throughputReport({ machine, parameters, titles, absent, rows, samples, verdicts, manifestBytes });
  const note = `${machine.command}, ${machine.date} UTC, ${machine.cores} cores shared with the client. Medians of ${parameters.rounds} rounds; lines: smallest to largest.`;
  await writeResults(options.out, 'throughput', {
    md: report,
    svg: throughputChart(rows, [note]),
    json: { machine, parameters, manifestBytes, subjects, absent, verdicts, rows, samples },
  });
  process.stdout.write(`${report}\n${verdicts.map((verdict) => `${verdictText(verdict)}\n`).join('')}`);
}

async function profile(parameters: Parameters, cases: readonly Case[], folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const report = await profileThroughput(parameters, cases, folder, progressLines());
  await writeFile(join(folder, 'profiles.md'), report);
  process.stdout.write(report);
}

export function parametersOf({ quick, ...options }: Omit<Options, 'out'>): Parameters {
  const base = quick ? quickRun : fullRun;
  return {
    ...base,
    rounds: options.rounds ?? base.rounds,
    seconds: options.seconds ?? base.seconds,
    blobBytes: options.blob ?? base.blobBytes,
  };
}

/** Those of a name, with those who take part. Throws where none is left. */
export function chosenCases(cases: readonly Case[], { only, subjects }: Pick<Options, 'only' | 'subjects'>): Case[] {
  const words = subjects?.split(',');
  const chosen = cases
    .filter((one) => only === undefined || caseName(one).includes(only))
    .map((one) => {
      return { ...one, subjects: one.subjects.filter((name) => words?.some((word) => name.startsWith(word)) ?? true) };
    })
    .filter((one) => one.subjects.length > 0);
  if (chosen.length === 0) throw new Error('no measurement has such a name');
  return chosen;
}
