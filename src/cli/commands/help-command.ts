import type { Command } from 'commander';
import { didYouMean } from '../../config/problems.ts';

/** commander's own prints the whole help where the command does not exist, and does not say so. */
export function helpCommand(onepull: Command): void {
  onepull
    .command('help')
    .argument('[command...]', 'the command')
    .description('Print the help of a command.')
    .action((names: readonly string[] = []) => {
      let command = onepull;
      for (const name of names) {
        const known = command.createHelp().visibleCommands(command);
        const next = known.find((candidate) => candidate.name() === name);
        if (next === undefined) {
          const near = didYouMean(
            name,
            known.map((candidate) => candidate.name()),
          );
          return onepull.error(`error: unknown command '${name}'${near === undefined ? '' : `\n(${near})`}`);
        }
        command = next;
      }
      return command.help();
    });
}
