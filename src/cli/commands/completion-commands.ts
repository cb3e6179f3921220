import { Argument, type Command } from 'commander';
import type { Shell } from '../completion/scripts.ts';
import { withHelp } from './help-text.ts';
import type { Run } from './run.ts';

const help = `
Commands, flags and their values are completed, and for purge, pin and unpin the names of images that the running
instance holds.

Examples:
  source <(onepull completion bash)
  onepull completion bash > ~/.local/share/bash-completion/completions/onepull
  onepull completion zsh > "\${fpath[1]}/_onepull"
  onepull completion fish > ~/.config/fish/completions/onepull.fish`;

export function completionCommands(onepull: Command, run: Run): void {
  withHelp(onepull.command('completion'), help)
    .description('Print the completion script of a shell.')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .action((shell: Shell) =>
      run(async () => {
        process.stdout.write((await import('../completion/scripts.ts')).completionScript(shell));
        return 0;
      }),
    );

  // What those scripts ask.
  onepull
    .command('complete', { hidden: true })
    .argument('[words...]')
    .action((words: string[]) => run(async () => (await import('../complete.ts')).complete(onepull, words)));
}
