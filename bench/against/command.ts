import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { count } from '../support/arguments.ts';
import { describeMachine } from '../support/machine.ts';
import { progressLines } from '../support/progress-lines.ts';
import { jsonText, resultsFolder } from '../support/results.ts';
import { RevisionCheckout } from '../support/revision.ts';
import { onepullServer } from '../support/subjects/onepull-server.ts';
import type { Subject } from '../support/subjects/subject.ts';
import { quietSettings } from '../throughput/subjects.ts';
import { compare, type FigureSample } from './figures.ts';
import { againstReport } from './report.ts';
import { scenarios } from './scenarios.ts';

interface Options {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly seconds?: number;
  readonly only?: string;
  readonly out: string;
}

export function addAgainst(bench: Command, commandLine: string): void {
  bench
    .command('against')
    .argument('<revision>', 'another revision of onepull, as git takes it')
    .argument('[scenario]', `one of ${Object.keys(scenarios).join(', ')}; all of them unless told`, known)
    .description('This onepull beside another revision of it, interleaved. Short: `npm run bench -- --against REV`.')
    .option('--quick', 'some minutes: three rounds of 1 s')
    .addOption(new Option('--rounds <n>', 'how often all is measured').argParser(count))
    .addOption(new Option('--seconds <n>', 'how long each measurement of throughput takes').argParser(count))
    .option('--only <words>', 'of throughput, only measurements whose name holds this')
    .option('--out <dir>', 'where results go', join(resultsFolder, 'tmp'))
    .action((revision: string, scenario: string | undefined, options: Options) =>
      against(revision, scenario, options, commandLine),
    );
}

/** `--against REV ...` is how one asks for it: as an option it may stand before a scenario's name or after it. */
export function asAgainst(args: readonly string[]): string[] {
  const at = args.indexOf('--against');
  if (at < 0) return [...args];
  const revision = args[at + 1];
  const others = [...args.slice(0, at), ...args.slice(at + 2)];
  return ['against', ...(revision === undefined ? [] : [revision]), ...others];
}

async function against(
  revision: string,
  scenario: string | undefined,
  { quick = false, out, ...options }: Options,
  commandLine: string,
): Promise<void> {
  const machine = describeMachine(commandLine);
  const progress = progressLines();
  using checkout = await RevisionCheckout.make(revision);
  const subject = (name: string, path?: string): Subject => {
    return onepullServer({ name, title: name, checkout: path, settings: quietSettings });
  };
  const subjects = [subject('this'), subject(revision, checkout.path)];
  const rounds = options.rounds ?? (quick ? 3 : 5);
  const request = { quick, rounds, seconds: options.seconds, only: options.only, subjects };
  const samples: FigureSample[] = [];
  const problems: string[] = [];
  for (const name of scenario === undefined ? Object.keys(scenarios) : [scenario]) {
    const measured = await scenarios[name]?.(request, progress);
    samples.push(...(measured?.samples ?? []));
    problems.push(...(measured?.problems ?? []));
  }
  const comparisons = compare(samples, 'this', revision);
  const { commit } = checkout;
  const report = againstReport({ machine, revision, commit, rounds, comparisons, problems });
  const json = { machine, revision, commit, rounds, comparisons, problems, samples };
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'against.md'), report);
  await writeFile(join(out, 'against.json'), `${jsonText(json)}\n`);
  process.stdout.write(report);
}

function known(name: string): string {
  if (!Object.hasOwn(scenarios, name)) {
    throw new InvalidArgumentError(`It is none of ${Object.keys(scenarios).join(', ')}.`);
  }
  return name;
}
