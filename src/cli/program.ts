import { Command } from 'commander';
import { productVersion } from '../config/version.ts';
import { checkCommand } from './commands/check-command.ts';
import { clientsCommand } from './commands/clients-command.ts';
import { clusterCommand } from './commands/cluster-command.ts';
import { completionCommands } from './commands/completion-commands.ts';
import { demoCommand } from './commands/demo-command.ts';
import { helpCommand } from './commands/help-command.ts';
import { imagesCommand, pinCommands, preheatCommand, purgeCommand } from './commands/image-commands.ts';
import { statusCommand, watchCommand } from './commands/look-commands.ts';
import type { Run } from './commands/run.ts';
import { serveCommand } from './commands/serve-command.ts';
import { usageErrorText } from './commands/usage-error.ts';
import { endWithReader } from './printing.ts';

/** The tree of commands; docs/COMMANDS.md and the shells' completion are made from it. */
export function program(run: Run): Command {
  const print: Run = (work) =>
    run(() => {
      endWithReader();
      return work();
    });
  const onepull = new Command('onepull')
    .description('An OCI registry cache: one upstream pull, shared by every node that asks.')
    .version(productVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .addHelpText('after', '\nTry it: onepull demo')
    .configureOutput({ outputError: (text, write) => write(usageErrorText(text)) })
    .exitOverride();
  onepull.commandsGroup('Run it:');
  serveCommand(onepull, run);
  checkCommand(onepull, print);
  clientsCommand(onepull, print);
  onepull.commandsGroup('See what it does:');
  statusCommand(onepull, print);
  watchCommand(onepull, print);
  clusterCommand(onepull, print);
  demoCommand(onepull, print);
  onepull.commandsGroup('What it holds:');
  imagesCommand(onepull, print);
  preheatCommand(onepull, print);
  purgeCommand(onepull, print);
  pinCommands(onepull, print);
  onepull.commandsGroup('Else:');
  completionCommands(onepull, print);
  helpCommand(onepull);
  return onepull;
}
