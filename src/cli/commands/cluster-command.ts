import type { Command } from 'commander';
import type { AdminOptions } from '../options.ts';
import { adminHelp, withAdminOptions } from './admin-options.ts';
import { withHelp } from './help-text.ts';
import type { Run } from './run.ts';

const help = `
The exit code is 1 where the instance does not answer, or runs on its own; with --json it then has no members.

Examples:
  onepull cluster status
  onepull cluster status --admin 10.0.0.7:5001
  onepull cluster status --json | jq '.members[].node.id'`;

export function clusterCommand(onepull: Command, run: Run): void {
  const cluster = onepull
    .command('cluster')
    .description('Nodes that share an engine.')
    .helpCommand(false)
    .addHelpText('after', '\nExample:\n  onepull cluster status');
  withHelp(withAdminOptions(cluster.command('status')), help, adminHelp)
    .description('Show the nodes, who leads and who follows, and how far each is.')
    .action((options: AdminOptions) => run(async () => (await import('../cluster-status.ts')).clusterStatus(options)));
}
