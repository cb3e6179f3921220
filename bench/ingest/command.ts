import { type Command, Option } from 'commander';
import { count, size } from '../support/arguments.ts';
import { describeMachine } from '../support/machine.ts';
import { progressLines } from '../support/progress-lines.ts';
import { resultsFolder, writeResults } from '../support/results.ts';
import { verdictText } from '../support/verdict.ts';
import { fullRun, type Parameters, quickRun } from './parameters.ts';
import { ingestChart, ingestReport } from './report.ts';
import { peersAndOwn, runIngest } from './run.ts';
import { summarise } from './summary.ts';
import { judge } from './targets.ts';

interface Options {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly blob?: number;
  readonly out: string;
}

export function addIngest(bench: Command, commandLine: string): void {
  bench
    .command('ingest')
    .description('One cold pull of a large blob over a line without a limit: bytes for each second and CPU for a GB.')
    .option('--quick', 'half a minute: one round, a smaller blob')
    .addOption(new Option('--rounds <n>', 'how often all is measured').argParser(count))
    .addOption(new Option('--blob <size>', 'size of the blob, as 1GB').argParser(size))
    .option('--out <dir>', 'where results go', resultsFolder)
    .action((options: Options) => ingest(options, commandLine));
}

async function ingest(options: Options, commandLine: string): Promise<void> {
  const parameters = parametersOf(options);
  const machine = describeMachine(commandLine);
  const { samples, subjects, absent } = await runIngest(parameters, await peersAndOwn(), progressLines());
  const rows = summarise(samples);
  const verdicts = judge(rows);
  const titles = new Map(subjects.map(({ name, title }) => [name, title]));
  const report = ingestReport({ machine, parameters, titles, absent, rows, verdicts });
  const note = `${machine.command}, ${machine.date} UTC, ${machine.cores} cores. Medians of ${parameters.rounds} rounds.`;
  await writeResults(options.out, 'ingest', {
    md: report,
    svg: ingestChart(rows, [note]),
    json: { machine, parameters, subjects, absent, verdicts, rows, samples },
  });
  process.stdout.write(`${report}\n${verdicts.map((verdict) => `${verdictText(verdict)}\n`).join('')}`);
}

export function parametersOf({ quick, rounds, blob }: Omit<Options, 'out'>): Parameters {
  const base = quick ? quickRun : fullRun;
  return { ...base, rounds: rounds ?? base.rounds, blobBytes: blob ?? base.blobBytes };
}
