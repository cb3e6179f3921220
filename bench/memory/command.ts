import { type Command, Option } from 'commander';
import { descriptorLimit } from '../../src/cli/descriptor-limit.ts';
import { count, counts, size } from '../support/arguments.ts';
import { describeMachine } from '../support/machine.ts';
import { ownNetworkAbsent, ownNetworkMtu, runInOwnNetwork } from '../support/own-network.ts';
import { progressLines } from '../support/progress-lines.ts';
import { resultsFolder, writeResults } from '../support/results.ts';
import { tcpMemoryBounds } from '../support/tcp-memory.ts';
import { verdictText } from '../support/verdict.ts';
import { fullRun, type Parameters, quickRun } from './parameters.ts';
import { memoryChart, memoryReport } from './report.ts';
import { runMemory } from './run.ts';
import { summarise } from './summary.ts';
import { judge } from './targets.ts';

interface Options {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly readers?: number[];
  readonly rate?: number;
  readonly blob?: number;
  readonly seconds?: number;
  readonly peers: boolean;
  readonly loopback?: boolean;
  readonly out: string;
}

/** Beside its readers a process has some files and pipes of its own. */
const otherDescriptors = 100;

export function addMemory(bench: Command, commandLine: string): void {
  bench
    .command('memory')
    .description('600 and 2,000 slow readers of a cold blob: peak memory, and what a fast reader loses.')
    .option('--quick', 'a minute: one round')
    .addOption(new Option('--rounds <n>', 'how often all is measured').argParser(count))
    .addOption(new Option('--readers <list>', 'slow readers, one measurement each').argParser(counts))
    .addOption(new Option('--rate <size>', 'what each takes in a second, as 30KB').argParser(size))
    .addOption(new Option('--blob <size>', 'size of the blob, as 256MiB').argParser(size))
    .addOption(new Option('--seconds <n>', 'how long the fast reader reads what is there').argParser(count))
    .option('--no-peers', 'onepull alone')
    .option('--loopback', "over the machine's own loopback, whose packets are 64 KiB")
    .option('--out <dir>', 'where results go', resultsFolder)
    .action((options: Options) => memory(options, commandLine));
}

async function memory(options: Options, commandLine: string): Promise<void> {
  const isElsewhere = !options.loopback && ownNetworkMtu() === undefined;
  const noNetwork = isElsewhere ? await ownNetworkAbsent() : undefined;
  if (isElsewhere && noNetwork === undefined) {
    process.exitCode = await runInOwnNetwork();
    return;
  }
  const parameters = parametersOf(options);
  const machine = describeMachine(commandLine);
  const descriptors = await descriptorLimit();
  const needed = Math.max(...parameters.slowReaders) + otherDescriptors;
  if (descriptors !== undefined && descriptors < needed) {
    throw new Error(
      `a process may have ${descriptors} descriptors, and ${needed} are needed: raise the limit (ulimit -n)`,
    );
  }
  const network = { mtu: ownNetworkMtu(), absent: noNetwork, bounds: await tcpMemoryBounds() };
  const { samples, subjects, absent } = await runMemory(parameters, progressLines());
  const rows = summarise(samples);
  const verdicts = judge(rows, parameters.slowBytesPerSecond);
  const titles = new Map(subjects.map(({ name, title }) => [name, title]));
  const report = memoryReport({ machine, parameters, network, titles, absent, descriptors, rows, verdicts });
  const note = `${machine.command}, ${machine.date} UTC, ${machine.cores} cores. Medians of ${parameters.rounds} rounds.`;
  await writeResults(options.out, 'memory', {
    md: report,
    svg: memoryChart(rows, titles, [note]),
    json: { machine, parameters, network, descriptors, subjects, absent, verdicts, rows, samples },
  });
  process.stdout.write(`${report}\n${verdicts.map((verdict) => `${verdictText(verdict)}\n`).join('')}`);
}

function parametersOf({ quick, seconds, peers, ...options }: Options): Parameters {
  const base = quick ? quickRun : fullRun;
  return {
    ...base,
    rounds: options.rounds ?? base.rounds,
    slowReaders: options.readers ?? base.slowReaders,
    peerSlowReaders: peers ? (options.readers?.slice(0, 1) ?? base.peerSlowReaders) : [],
    slowBytesPerSecond: options.rate ?? base.slowBytesPerSecond,
    blobBytes: options.blob ?? base.blobBytes,
    warmMs: seconds === undefined ? base.warmMs : seconds * 1000,
  };
}
