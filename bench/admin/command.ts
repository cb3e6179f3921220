import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { count } from '../support/arguments.ts';
import { describeMachine } from '../support/machine.ts';
import { progressLines } from '../support/progress-lines.ts';
import { jsonText, resultsFolder } from '../support/results.ts';
import { verdictText } from '../support/verdict.ts';
import { fullRun, type Parameters, quickRun } from './parameters.ts';
import { adminReport } from './report.ts';
import { runAdmin } from './run.ts';
import { summarise, summarisePage } from './summary.ts';
import { judge, judgePage } from './targets.ts';

interface Options {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly seconds?: number;
  readonly pulls?: number;
  readonly out: string;
}

export function addAdmin(bench: Command, commandLine: string): void {
  bench
    .command('admin')
    .description(
      'What viewers of 500 pulls in progress cost the server, beside hot manifests and blobs, and what the page costs its browser.',
    )
    .option('--quick', 'a minute and a half: two rounds, with five viewers and without, and one of the page')
    .addOption(new Option('--rounds <n>', 'how often all is measured').argParser(count))
    .addOption(new Option('--seconds <n>', 'how long each measurement takes').argParser(count))
    .addOption(new Option('--pulls <n>', 'images that are being pulled').argParser(count))
    .option('--out <dir>', 'where results go', resultsFolder)
    .action((options: Options) => admin(options, commandLine));
}

async function admin(options: Options, commandLine: string): Promise<void> {
  const parameters = parametersOf(options);
  const machine = describeMachine(commandLine);
  const { samples, page: outcome } = await runAdmin(parameters, progressLines());
  const rows = summarise(samples);
  const page = summarisePage(outcome);
  const verdicts = [...judge(rows, parameters.pulls, machine.cores), ...judgePage(page, parameters.pulls)];
  const report = adminReport({ machine, parameters, rows, page, verdicts });
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, 'admin.md'), report);
  const results = { machine, parameters, verdicts, rows, page, samples, pageOutcome: outcome };
  await writeFile(join(options.out, 'admin.json'), `${jsonText(results)}\n`);
  process.stdout.write(`${report}\n${verdicts.map((verdict) => `${verdictText(verdict)}\n`).join('')}`);
}

function parametersOf({ quick, ...options }: Options): Parameters {
  const base = quick ? quickRun : fullRun;
  return {
    ...base,
    rounds: options.rounds ?? base.rounds,
    seconds: options.seconds ?? base.seconds,
    pulls: options.pulls ?? base.pulls,
  };
}
