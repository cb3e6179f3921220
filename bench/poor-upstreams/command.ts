import { type Command, Option } from 'commander';
import { count, counts, size } from '../support/arguments.ts';
import { describeMachine } from '../support/machine.ts';
import { resultsFolder, writeResults } from '../support/results.ts';
import { verdictText } from '../support/verdict.ts';
import { fullRun, type Parameters, quickRun } from './parameters.ts';
import { poorUpstreamsChart, poorUpstreamsReport } from './report.ts';
import { runPoorUpstreams } from './run.ts';
import { summariseFailovers, summariseSplits } from './summary.ts';
import { judge } from './targets.ts';

interface Options {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly blob?: number;
  readonly splits?: number[];
  readonly line?: number;
  readonly clients?: number;
  readonly out: string;
}

export function addPoorUpstreams(bench: Command, commandLine: string): void {
  bench
    .command('poor-upstreams')
    .description('A large blob over connections of limited speed, split or not; an endpoint that dies in mid-burst.')
    .option('--quick', 'two minutes: one round, a smaller blob')
    .addOption(new Option('--rounds <n>', 'how often all is measured').argParser(count))
    .addOption(new Option('--blob <size>', 'size of the blob that is split, as 200MB').argParser(size))
    .addOption(new Option('--splits <list>', 'connections that may share it, one measurement each').argParser(counts))
    .addOption(new Option('--line <size>', 'speed of a connection, or of all, for each second').argParser(size))
    .addOption(new Option('--clients <n>', 'clients of the burst in which an endpoint dies').argParser(count))
    .option('--out <dir>', 'where results go', resultsFolder)
    .action((options: Options) => poorUpstreams(options, commandLine));
}

async function poorUpstreams(options: Options, commandLine: string): Promise<void> {
  const parameters = parametersOf(options);
  const machine = describeMachine(commandLine);
  const beganAt = performance.now();
  const samples = await runPoorUpstreams(parameters, (line) => {
    process.stderr.write(`${((performance.now() - beganAt) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
  });
  const [splits, failovers] = [summariseSplits(samples.splits), summariseFailovers(samples.failovers)];
  const verdicts = judge(splits, failovers);
  const report = poorUpstreamsReport({ machine, parameters, splits, failovers, verdicts });
  const note = `${machine.command}, ${machine.date} UTC, ${machine.cores} cores. Medians of ${parameters.rounds} rounds.`;
  await writeResults(options.out, 'poor-upstreams', {
    md: report,
    svg: poorUpstreamsChart(splits, [note]),
    json: { machine, parameters, verdicts, splits, failovers, samples },
  });
  process.stdout.write(`${report}\n${verdicts.map((verdict) => `${verdictText(verdict)}\n`).join('')}`);
}

function parametersOf({ quick, ...options }: Options): Parameters {
  const base = quick ? quickRun : fullRun;
  return {
    ...base,
    rounds: options.rounds ?? base.rounds,
    blobBytes: options.blob ?? base.blobBytes,
    splits: [...new Set([1, ...(options.splits ?? base.splits)])],
    lineBytesPerSecond: options.line ?? base.lineBytesPerSecond,
    clients: options.clients ?? base.clients,
  };
}
