import { type Command, Option } from 'commander';
import { count, counts, largeCounts } from '../support/arguments.ts';
import { describeMachine } from '../support/machine.ts';
import { progressLines } from '../support/progress-lines.ts';
import { resultsFolder, writeResults } from '../support/results.ts';
import { verdictText } from '../support/verdict.ts';
import { growthChart } from './chart.ts';
import { fullRun, type Parameters, quickRun } from './parameters.ts';
import { growthReport } from './report.ts';
import { runGrowth } from './run.ts';
import { summariseClients, summariseSizes } from './summary.ts';
import { judge } from './targets.ts';

interface Options {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly sizes?: number[];
  readonly clients?: number[];
  readonly load?: number;
  readonly out: string;
}

export function addGrowth(bench: Command, commandLine: string): void {
  bench
    .command('growth')
    .description('Caches of 100 to a million blobs, and 10 to 5000 connections: start, hits, look-ups, upkeep.')
    .option('--quick', 'two minutes: fewer rounds, at most 100,000 blobs and 1,000 connections')
    .addOption(new Option('--rounds <n>', 'how often all is measured').argParser(count))
    .addOption(new Option('--sizes <list>', 'blobs in the cache, one data directory each').argParser(largeCounts))
    .addOption(new Option('--clients <list>', 'connections at once, one measurement each').argParser(counts))
    .addOption(new Option('--load <ms>', 'how long each load takes, in ms').argParser(count))
    .option('--out <dir>', 'where results go', resultsFolder)
    .action((options: Options) => growth(options, commandLine));
}

async function growth(options: Options, commandLine: string): Promise<void> {
  const parameters = parametersOf(options);
  const machine = describeMachine(commandLine);
  const samples = await runGrowth(parameters, progressLines());
  const { upkeep } = samples;
  const [sizes, clients] = [summariseSizes(samples.servers, samples.stores), summariseClients(samples.clients)];
  const verdicts = judge({ sizes, upkeep, clients });
  const report = growthReport({ machine, parameters, sizes, upkeep, clients, verdicts });
  const note = `${machine.command}, ${machine.date} UTC, ${machine.cores} cores. Medians of ${parameters.rounds} rounds.`;
  await writeResults(options.out, 'growth', {
    md: report,
    svg: growthChart(sizes, clients, [note]),
    json: { machine, parameters, verdicts, sizes, clients, samples },
  });
  process.stdout.write(`${report}\n${verdicts.map((verdict) => `${verdictText(verdict)}\n`).join('')}`);
}

function parametersOf({ quick, ...options }: Options): Parameters {
  const base = quick ? quickRun : fullRun;
  return {
    ...base,
    rounds: options.rounds ?? base.rounds,
    sizes: options.sizes ?? base.sizes,
    clients: options.clients ?? base.clients,
    loadMs: options.load ?? base.loadMs,
  };
}
