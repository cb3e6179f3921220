import { mkdir, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { formatSize } from '../../src/core/units.ts';
import { count, size } from '../support/arguments.ts';
import { describeMachine, type Machine, machineText } from '../support/machine.ts';
import { markdownTable } from '../support/markdown-table.ts';
import { progressLines } from '../support/progress-lines.ts';
import { jsonText, resultsFolder } from '../support/results.ts';
import { type Spread, spread, spreadText } from '../support/statistics.ts';
import { type Parameters, runWays, type Sample } from './run.ts';
import { type Way, wayTitles } from './ways.ts';

const KiB = 1024;
const ways: readonly Way[] = [
  { name: 'pipe', blockBytes: 64 * KiB },
  { name: 'pooled', blockBytes: 32 * KiB },
  { name: 'pooled', blockBytes: 256 * KiB },
  { name: 'pooled', blockBytes: 1024 * KiB },
  { name: 'shared', blockBytes: 256 * KiB },
  { name: 'shared', blockBytes: 512 * KiB },
  { name: 'shared', blockBytes: 1024 * KiB },
  { name: 'shared', blockBytes: 2048 * KiB },
  { name: 'shared-vectors', blockBytes: 256 * KiB },
  { name: 'shared-ahead', blockBytes: 256 * KiB },
];

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly blob: number;
  readonly out: string;
}

export function addWaysToWrite(bench: Command, commandLine: string): void {
  bench
    .command('ways-to-write')
    .description("What node's HTTP server sends in a second, by how the bytes get from a file to the socket.")
    .addOption(new Option('--rounds <n>', 'how often all is measured').argParser(count).default(5))
    .addOption(new Option('--seconds <n>', 'how long each time').argParser(count).default(2))
    .addOption(new Option('--connections <n>', 'clients at once').argParser(count).default(8))
    .addOption(new Option('--blob <size>', 'size of the blob, as 256MiB').argParser(size).default(256 * KiB * KiB))
    .option('--out <dir>', 'where results go', resultsFolder)
    .action(async (options: Options) => {
      const machine = describeMachine(commandLine);
      const { rounds, seconds, connections, blob: blobBytes } = options;
      const parameters = { rounds, seconds, connections, blobBytes, ways };
      const samples = await runWays(parameters, progressLines());
      const report = reportOf(machine, parameters, samples);
      await mkdir(options.out, { recursive: true });
      await writeFile(join(options.out, 'ways-to-write.md'), report);
      await writeFile(join(options.out, 'ways-to-write.json'), `${jsonText({ machine, parameters, samples })}\n`);
      console.log(report);
    });
}

interface Row {
  readonly way: Way;
  readonly rate: Spread;
  /** To writes of shared blocks of 1 MiB in the same round. */
  readonly ratio: Spread;
  readonly cpu: Spread;
}

function rowsOf(samples: readonly Sample[]): Row[] {
  const chosen = samples.filter(({ way }) => way.name === 'shared' && way.blockBytes === KiB * KiB);
  return ways.map((way) => {
    const own = samples.filter((sample) => sample.way === way);
    const ratios = own.map(({ round, bytesPerSecond }) => {
      return bytesPerSecond / (chosen.find((sample) => sample.round === round)?.bytesPerSecond ?? Number.NaN);
    });
    const rate = spread(own.map(({ bytesPerSecond }) => bytesPerSecond / 1e9));
    return { way, rate, ratio: spread(ratios), cpu: spread(own.map(({ cpuMsPerGB }) => cpuMsPerGB)) };
  });
}

function reportOf(machine: Machine, parameters: Parameters, samples: readonly Sample[]): string {
  const { rounds, seconds, connections, blobBytes } = parameters;
  const table = markdownTable<Row>(
    [
      { title: 'Way', cell: ({ way }) => wayTitles[way.name] },
      { title: 'Block', align: 'right', cell: ({ way }) => formatSize(way.blockBytes) },
      { title: 'Rate', align: 'right', cell: ({ rate }) => spreadText(rate, (value) => value.toFixed(2), ' GB/s') },
      {
        title: 'CPU time of the server per GB',
        align: 'right',
        cell: ({ cpu }) => spreadText(cpu, (value) => value.toFixed(0), ' ms'),
      },
      { title: 'Ratio', align: 'right', cell: ({ ratio }) => spreadText(ratio, (value) => value.toFixed(2), 'x') },
    ],
    rowsOf(samples),
  );
  return [
    '# Ways to write',
    `Made by \`${machine.command}\` on ${machine.date} UTC, commit ${machine.commit ?? 'unknown'}: ${machineText(machine)}.`,
    `${rounds} rounds of ${seconds} s, interleaved; medians, with the smallest and the largest.`,
    `One node:http server with one thread sends a blob of ${formatSize(blobBytes)} over loopback to wrk with ${connections} ` +
      'connections and one thread, which takes its time on the same cores. Ratios are to shared blocks of 1 MiB in the same round.',
    `The machine's load average was ${(loadavg()[0] ?? 0).toFixed(1)} at the end. Where that is far beyond its cores, others had ` +
      'most of them: then the rates say little, and the CPU time says what a way costs.',
    table,
    'Node has no setter for the send buffer of an HTTP connection (`SO_SNDBUF`), and the kernel sizes it by itself; what a ' +
      'larger one could bring is shown by handing over four blocks before the first is taken.',
  ]
    .join('\n\n')
    .concat('\n');
}
