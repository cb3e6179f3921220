import { type Command, Option } from 'commander';
import { coordinatorDefaults } from '../../src/cluster/coordinator.ts';
import { cannotHaveLab, isInOwnNetwork, runInOwnNetwork } from '../../test/support/network-lab/own-network.ts';
import { count, counts, size } from '../support/arguments.ts';
import { describeMachine } from '../support/machine.ts';
import { progressLines } from '../support/progress-lines.ts';
import { resultsFolder, writeResults } from '../support/results.ts';
import { verdictText } from '../support/verdict.ts';
import { clusterChart } from './chart.ts';
import { fullRun, type Parameters, quickRun } from './parameters.ts';
import { clusterReport } from './report.ts';
import { runCluster } from './run.ts';
import { summarise } from './summary.ts';
import { judge } from './targets.ts';

interface Options {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly nodes?: number[];
  readonly peerRounds?: number;
  readonly peerNodes?: number[];
  readonly peers: boolean;
  readonly image?: number;
  readonly scale?: number[];
  readonly slowNodes?: number[];
  readonly out: string;
}

export function addCluster(bench: Command, commandLine: string): void {
  bench
    .command('cluster')
    .description('1 to 32 nodes on lines of 100 Mbit/s want one cold image; what coordination costs a miss and a hit.')
    .option('--quick', 'two to three minutes: fewer nodes, one round, a smaller image')
    .addOption(new Option('--rounds <n>', 'how often all is measured').argParser(count))
    .addOption(new Option('--nodes <list>', 'nodes that want it at once, one measurement each').argParser(counts))
    .addOption(new Option('--peer-rounds <n>', 'how often every node alone, and one cache for all').argParser(count))
    .addOption(new Option('--peer-nodes <list>', 'with so many of the nodes').argParser(counts))
    .option('--no-peers', 'the cluster alone')
    .addOption(new Option('--image <size>', 'size of the image, as 50MB').argParser(size))
    .addOption(
      new Option('--scale <list>', 'how many times slower all lines are, one after the other').argParser(counts),
    )
    .addOption(new Option('--slow-nodes <list>', 'nodes on slower lines').argParser(counts))
    .option('--out <dir>', 'where results go', resultsFolder)
    .action((options: Options) => cluster(options, commandLine));
}

async function cluster(options: Options, commandLine: string): Promise<void> {
  const noLab = isInOwnNetwork() ? false : await cannotHaveLab();
  if (!isInOwnNetwork() && noLab === false) {
    process.exitCode = await runInOwnNetwork();
    return;
  }
  const parameters = parametersOf(options);
  const machine = describeMachine(commandLine);
  const { absent, ...samples } = await runCluster(parameters, noLab, progressLines());
  const summary = summarise(samples);
  const verdicts = judge(summary, coordinatorDefaults.maxChildren);
  const { rates } = samples;
  const report = clusterReport({ machine, parameters, rates, summary, absent, verdicts });
  const note = `${machine.command}, ${machine.date} UTC, ${machine.cores} cores. Medians of ${parameters.rounds} rounds, ${parameters.peerRounds} of the others.`;
  await writeResults(options.out, 'cluster', {
    md: report,
    svg: clusterChart(summary.spreads, [note]),
    json: { machine, parameters, rates, absent, verdicts, summary, samples },
  });
  process.stdout.write(`${report}\n${verdicts.map((verdict) => `${verdictText(verdict)}\n`).join('')}`);
}

function parametersOf({ quick, peers, ...options }: Options): Parameters {
  const base = quick ? quickRun : fullRun;
  return {
    ...base,
    rounds: options.rounds ?? base.rounds,
    nodes: options.nodes ?? base.nodes,
    peerRounds: peers ? (options.peerRounds ?? base.peerRounds) : 0,
    peerNodes: options.peerNodes ?? base.peerNodes,
    imageBytes: options.image ?? base.imageBytes,
    scales: options.scale ?? base.scales,
    slowNodes: options.slowNodes ?? base.slowNodes,
  };
}
