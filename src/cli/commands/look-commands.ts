import type { Command } from 'commander';
import type { AdminOptions } from '../options.ts';
import { adminHelp, withAdminOptions } from './admin-options.ts';
import { withHelp } from './help-text.ts';
import type { Run } from './run.ts';

const statusHelp = `
The exit code is 0 where the instance is ready, and 1 where it is not, or does not answer.

Examples:
  onepull status
  onepull status --config /etc/onepull.yaml
  onepull status --admin 10.0.0.7:5001 --json | jq .status.effect`;

const watchHelp = `
On a terminal it draws the pulls as they go, until q or Ctrl-C; elsewhere it prints a line where an image changes its
state or a tenth more of it has come. An instance that restarts meanwhile is waited for. With --json, a
line tells what has changed: images and transfers whole, as the admin API has them, preheats as its events have them,
and ids of those that are gone.

Examples:
  onepull watch
  onepull watch --admin 10.0.0.7:5001
  onepull watch --json | jq -c '.pulls[]? | [.image, .state, .waiters]'`;

export function statusCommand(onepull: Command, run: Run): void {
  withHelp(withAdminOptions(onepull.command('status')), statusHelp, adminHelp)
    .description('Show a running instance on one screen: pulls, effect, cache, upstreams, cluster.')
    .action((options: AdminOptions) => run(async () => (await import('../status.ts')).status(options)));
}

export function watchCommand(onepull: Command, run: Run): void {
  withHelp(withAdminOptions(onepull.command('watch')), watchHelp, adminHelp)
    .description('Watch pulls as they go.')
    .action((options: AdminOptions) => run(async () => (await import('../watch.ts')).watch(options)));
}
