import { Command, InvalidArgumentError } from 'commander';
import { faultKinds } from './fault-kinds.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly pulls: number;
  readonly minutes: number;
  readonly clients: number;
  readonly faults: readonly string[];
  /** Of the world; the cache is made to fit less than half of it. */
  readonly images: number;
  readonly json: string | undefined;
  readonly log: string | undefined;
}

const examples = `
Examples:
  npm run chaos                                         every fault, 10,000 pulls in ten minutes
  npm run chaos -- --minutes 1 --pulls 600 --faults cut,stall
  npm run chaos -- --seed 4711 --json ledger.json       the same faults and pulls once more, and the ledger for a program
  npm run chaos -- --faults list                        what can go wrong

The seed decides content, pulls and faults; only timing is real. Ctrl-C ends a run early, with its ledger so far.
The exit code is 1 if a promise was broken, 2 for wrong options.`;

/** Undefined where it has said all that was asked for. */
export function parseOptions(args: readonly string[], print: (text: string) => void): ChaosOptions | undefined {
  const names = faultKinds.map(({ name }) => name);
  const program = new Command('chaos')
    .description(
      'Runs onepull in front of faulty upstreams, with clients that check every byte, and counts what comes of it.',
    )
    .option('--seed <n>', 'what decides everything', whole(0), Date.now() % 1_000_000)
    .option('--pulls <n>', 'images to pull, spread over the time', whole(1), 10_000)
    .option('--minutes <n>', 'how long; longer if the machine cannot make the pulls in that time', positive, 10)
    .option('--clients <n>', 'clients at the same time, at most', whole(1), 40)
    .option('--faults <names>', '"all", "none", "list", or names with commas between them', 'all')
    .option('--images <n>', 'images that there are', whole(20), 240)
    .option('--json <file>', 'write the ledger to this file as well')
    .option('--log <file>', "write onepull's log to this file at the end")
    .addHelpText('after', examples)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
  program.parse([...args], { from: 'user' });
  const given = program.opts<Omit<ChaosOptions, 'faults'> & { faults: string }>();
  if (given.faults === 'list') {
    print(faultList());
    return undefined;
  }
  const faults = given.faults === 'all' ? names : given.faults === 'none' ? [] : given.faults.split(',');
  const unknown = faults.filter((name) => !names.includes(name));
  if (unknown.length > 0)
    program.error(`error: no fault is called ${unknown.join(', ')}; see --faults list`, { exitCode: 2 });
  const { seed, pulls, minutes, clients, images, json, log } = given;
  return { seed, pulls, minutes, clients, images, faults, json, log };
}

export function faultList(): string {
  const lines = faultKinds.map(({ name, targets, effect, what }) => {
    return `${name.padEnd(13)} ${targets.join(',').padEnd(9)} ${effect.padEnd(8)} ${what}`;
  });
  return [`${'FAULT'.padEnd(13)} ${'WHERE'.padEnd(9)} ${'NOTICED'.padEnd(8)} WHAT`, ...lines].join('\n');
}

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`a whole number from ${least} on.`);
    return value;
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 10_000)) throw new InvalidArgumentError('a number above 0.');
  return value;
}
