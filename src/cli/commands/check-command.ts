import type { Command } from 'commander';
import type { CheckOptions } from '../options.ts';
import { withHelp } from './help-text.ts';
import type { Run } from './run.ts';

const help = `
Prints "ok" and what would run, or every problem with its place and a hint; then the exit code is 2.
It reads the configuration, ONEPULL_ variables and the files that they name (passwords, certificates). It looks neither
at the data directory nor at the network.

Examples:
  onepull check
  onepull check --config /etc/onepull.yaml
  onepull check --config /etc/onepull.yaml --json | jq '.problems[].hint'
  ONEPULL_STORAGE_MAX_SIZE=200GiB onepull check`;

export function checkCommand(onepull: Command, run: Run): void {
  withHelp(onepull.command('check'), help)
    .description('Check a configuration and say what would run.')
    .option('--config <file>', 'YAML file with the configuration (default: none: defaults and environment alone)')
    .option('--json', 'print the result as JSON')
    .action((options: CheckOptions) => run(async () => (await import('../check.ts')).check(options)));
}
