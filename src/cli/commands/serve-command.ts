import type { Command } from 'commander';
import { settings } from '../../config/outline.ts';
import type { ServeOptions } from '../options.ts';
import { withHelp } from './help-text.ts';
import type { Run } from './run.ts';

const help = `
Examples:
  onepull serve
  onepull serve --config /etc/onepull.yaml
  onepull serve --listen 127.0.0.1:5000 --storage /var/lib/onepull
  ONEPULL_STORAGE_MAX_SIZE=200GiB onepull serve

Every key of the configuration can also be set by a variable: see docs/CONFIGURATION.md. So ONEPULL_ADMIN is where its
admin API listens; the commands that ask an instance read the same variable as where to ask.`;

export function serveCommand(onepull: Command, run: Run): void {
  const command = withHelp(onepull.command('serve'), help)
    .description('Run the cache.')
    .option('--config <file>', 'YAML file with the configuration (default: none, which is fine)')
    .action((options: ServeOptions) => run(async () => (await import('../serve.ts')).serve(options)));
  for (const { flag, description, default: fallback } of settings()) {
    if (flag === undefined) continue;
    const text = `${description.replaceAll('`', '')} (default: ${String(fallback)})`;
    command.option(`--${flag} <${flag === 'storage' ? 'dir' : 'addr'}>`, text);
  }
}
