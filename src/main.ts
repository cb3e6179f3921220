import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import {
  type CheckOptions,
  type ClusterStatusOptions,
  type DemoOptions,
  exitCodes,
  type ServeOptions,
} from './cli/options.ts';
import { settings } from './config/outline.ts';
import { didYouMean } from './config/problems.ts';
import { productVersion } from './config/version.ts';
import { asAppError } from './core/errors.ts';

const serveExamples = `
Examples:
  onepull serve
  onepull serve --config /etc/onepull.yaml
  onepull serve --listen 127.0.0.1:5000 --storage /var/lib/onepull
  ONEPULL_STORAGE_MAX_SIZE=200GiB onepull serve

Every key of the configuration can also be set by a variable: see docs/CONFIGURATION.md.`;

const checkExamples = `
Prints "ok" and what would run, or every problem with its place and a hint; then the exit code is 2.
It reads the configuration, ONEPULL_ variables and the files that they name (passwords, certificates). It looks neither
at the data directory nor at the network.

Examples:
  onepull check
  onepull check --config /etc/onepull.yaml
  ONEPULL_STORAGE_MAX_SIZE=200GiB onepull check`;

const statusExamples = `
Asks the admin API of a running instance. The exit code is 1 where it does not answer, or runs on its own.

Examples:
  onepull cluster status
  onepull cluster status --admin 10.0.0.7:5001
  onepull cluster status --json | jq '.members[].node.id'`;

const demoExamples = `
Examples:
  onepull demo
  onepull demo --nodes 50
  onepull demo --json > result.json`;

function program(finish: (exitCode: number) => void): Command {
  const onepull = new Command('onepull')
    .description('An OCI registry cache: one upstream pull, shared by every node that asks.')
    .version(productVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .addHelpText('after', '\nTry it: onepull demo')
    .exitOverride();

  // What a command needs is loaded when it runs, so that --version and check start at once.
  const serve = onepull
    .command('serve')
    .description('Run the cache.')
    .option('--config <file>', 'YAML file with the configuration (default: none, which is fine)')
    .addHelpText('after', serveExamples)
    .action(async (options: ServeOptions) => finish(await (await import('./cli/serve.ts')).serve(options)));
  for (const { flag, description, default: fallback } of settings()) {
    if (flag !== undefined)
      serve.option(`--${flag} <${flag === 'storage' ? 'dir' : 'addr'}>`, help(description, fallback));
  }

  onepull
    .command('check')
    .description('Check a configuration and say what would run.')
    .option('--config <file>', 'YAML file with the configuration (default: none: defaults and environment alone)')
    .addHelpText('after', checkExamples)
    .action(async (options: CheckOptions) => finish(await (await import('./cli/check.ts')).check(options)));

  onepull
    .command('demo')
    .description(
      'Show the effect in a minute, on this machine alone: many nodes pull one image, with and without onepull.',
    )
    .addOption(
      new Option('--nodes <number>', 'nodes that pull at once, at most 1000 (default: 50)').argParser(positive),
    )
    .option('--serve', 'stay up afterwards, to look around')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', demoExamples)
    .action(async (options: DemoOptions) => finish(await (await import('./cli/demo.ts')).demo(options)));

  onepull
    .command('cluster')
    .description('Nodes that share an engine.')
    .command('status')
    .description('Show the nodes, who leads and who follows, and how far each is.')
    .option('--admin <addr>', 'host:port of the admin API (default: that of the configuration)')
    .option('--config <file>', 'YAML file with the configuration')
    .option('--json', 'print it as JSON')
    .addHelpText('after', statusExamples)
    .action(async (options: ClusterStatusOptions) =>
      finish(await (await import('./cli/cluster-status.ts')).clusterStatus(options)),
    );

  // commander's own prints the whole help where the command does not exist, and does not say so.
  onepull
    .command('help')
    .argument('[command]')
    .description('print the help of a command')
    .action((name?: string) => {
      const command = name === undefined ? onepull : onepull.commands.find((known) => known.name() === name);
      if (command !== undefined) return command.help();
      const near = didYouMean(
        String(name),
        onepull.commands.map((known) => known.name()),
      );
      return onepull.error(`error: unknown command '${name}'${near === undefined ? '' : `\n(${near})`}`);
    });

  return onepull;
}

function help(description: string, fallback: unknown): string {
  return `${description.replaceAll('`', '')} (default: ${String(fallback)})`;
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It is not a number of nodes.');
  return Number(text);
}

try {
  await program((exitCode) => {
    process.exitCode = exitCode;
  }).parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  } else {
    process.stderr.write(`onepull: ${asAppError(error).message}\n`);
    process.exitCode = exitCodes.failed;
  }
}
