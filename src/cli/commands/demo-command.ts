import { type Command, InvalidArgumentError, Option } from 'commander';
import type { DemoOptions } from '../options.ts';
import { withHelp } from './help-text.ts';
import type { Run } from './run.ts';

const help = `
Examples:
  onepull demo
  onepull demo --nodes 50
  onepull demo --json > result.json`;

export function demoCommand(onepull: Command, run: Run): void {
  withHelp(onepull.command('demo'), help)
    .description(
      'Show the effect in a minute, on this machine alone: many nodes pull one image, with and without onepull.',
    )
    .addOption(
      new Option('--nodes <number>', 'nodes that pull at once, at most 1000 (default: 50)').argParser(positive),
    )
    .option('--serve', 'stay up afterwards, to look around')
    .option('--json', 'print the result as JSON')
    .action((options: DemoOptions) => run(async () => (await import('../demo.ts')).demo(options)));
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It is not a number of nodes.');
  return Number(text);
}
