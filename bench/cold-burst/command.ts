import { type Command, Option } from 'commander';
import { count, counts, size } from '../support/arguments.ts';
import { describeMachine } from '../support/machine.ts';
import { resultsFolder, writeResults } from '../support/results.ts';
import { verdictText } from '../support/verdict.ts';
import { coldBurstChart } from './chart.ts';
import { fullRun, type Parameters, quickRun } from './parameters.ts';
import { coldBurstReport } from './report.ts';
import { runColdBurst } from './run.ts';
import { summarise } from './summary.ts';
import { judge } from './targets.ts';

interface Options {
  readonly quick?: boolean;
  readonly clients?: number[];
  readonly peerClients?: number[];
  readonly rounds?: number;
  readonly line?: number;
  readonly image?: number;
  readonly peerImage?: number;
  readonly clientProcesses?: number;
  readonly cap?: number;
  readonly out: string;
}

export function addColdBurst(bench: Command, commandLine: string): void {
  bench
    .command('cold-burst')
    .description('Many clients pull one uncached image at once: what upstream sends, how long clients wait.')
    .option('--quick', 'two minutes: fewer clients and rounds, smaller images')
    .addOption(new Option('--clients <list>', 'clients at once, one measurement each').argParser(counts))
    .addOption(new Option('--peer-clients <list>', 'the same, through other caches').argParser(countsOrNone))
    .addOption(new Option('--rounds <n>', 'how often all is measured').argParser(count))
    .addOption(new Option('--line <size>', "speed of upstream's line for each second, as 2MB").argParser(size))
    .addOption(new Option('--image <size>', 'size of the image, as 24MiB').argParser(size))
    .addOption(new Option('--peer-image <size>', 'its size in comparisons with other caches').argParser(size))
    .addOption(new Option('--client-processes <n>', 'processes that clients are spread over').argParser(count))
    .addOption(new Option('--cap <seconds>', 'when a pull counts as unfinished').argParser(count))
    .option('--out <dir>', 'where results go', resultsFolder)
    .action((options: Options) => coldBurst(options, commandLine));
}

async function coldBurst(options: Options, commandLine: string): Promise<void> {
  const parameters = parametersOf(options);
  const machine = describeMachine(commandLine);
  const beganAt = performance.now();
  const { bursts, latencies, warm, subjects, absent } = await runColdBurst(parameters, (line) => {
    process.stderr.write(`${((performance.now() - beganAt) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
  });
  const rows = summarise(bursts);
  const titles = new Map(subjects.map(({ name, title }) => [name, title]));
  const verdicts = judge({ rows, latencies, warm });
  const report = coldBurstReport({ machine, parameters, titles, absent, rows, latencies, warm, verdicts });
  const notes = [
    `${machine.command}, ${machine.date} UTC, ${machine.cores} cores. Medians of ${parameters.rounds} rounds.`,
  ];
  await writeResults(options.out, 'cold-burst', {
    md: report,
    svg: coldBurstChart({ rows, titles, notes: [...notes, ...sizeNotes(rows, titles)] }),
    json: { machine, parameters, subjects, absent, verdicts, rows, samples: { bursts, latencies, warm } },
  });
  process.stdout.write(`${report}\n${verdicts.map((verdict) => `${verdictText(verdict)}\n`).join('')}`);
}

function parametersOf({ quick, cap, ...options }: Options): Parameters {
  const base = quick ? quickRun : fullRun;
  return {
    ...base,
    clients: options.clients ?? base.clients,
    peerClients: options.peerClients ?? base.peerClients,
    rounds: options.rounds ?? base.rounds,
    lineBytesPerSecond: options.line ?? base.lineBytesPerSecond,
    imageBytes: options.image ?? base.imageBytes,
    peerImageBytes: options.peerImage ?? base.peerImageBytes,
    clientProcesses: options.clientProcesses ?? base.clientProcesses,
    capMs: cap === undefined ? base.capMs : cap * 1000,
  };
}

/** Which image each line of the chart stands for, where they differ. */
function sizeNotes(rows: ReturnType<typeof summarise>, titles: ReadonlyMap<string, string>): string[] {
  const sizes = new Map<string, number>();
  for (const { subject, imageBytes } of rows) sizes.set(subject, Math.max(imageBytes, sizes.get(subject) ?? 0));
  sizes.delete('direct');
  if (new Set(sizes.values()).size < 2) return [];
  const images = [...sizes].map(([name, bytes]) => `${titles.get(name)} ${(bytes / 2 ** 20).toFixed(1)} MiB`);
  return [`Images: ${images.join('; ')}. Both on one image: see the table.`];
}

function countsOrNone(text: string): number[] {
  return text === 'none' ? [] : counts(text);
}
