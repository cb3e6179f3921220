import type { Command } from 'commander';
import { program } from '../src/cli/program.ts';
import { banner } from './markdown.ts';

/** As on a terminal of the usual width. */
const columns = 80;

/** Every command's help, from the tree of commands. */
export function commandsPage(): string {
  const onepull = program(async () => {});
  const shown = all(onepull).filter(({ words }) => words[0] !== 'help');
  return [
    '# Commands',
    banner,
    `Answers go to standard output; what is wrong goes to standard error, in a line and one for a hint, and the exit code is 0 where
all is well, 1 where something failed, 2 where the command line or the configuration is wrong, and 128 with the signal's number
where a signal ended it. \`--json\` prints answers as JSON. Colours and what moves are for terminals only; \`NO_COLOR\` is honoured.`,
    `Commands about a running instance ask its admin API. What is typed goes before what the environment says: \`--admin\`, else the
file of \`--config\` (without \`admin\` in it: the default), else \`ONEPULL_ADMIN\`, else 127.0.0.1:5001. Where the instance wants a
token for what changes something, it is that of \`--token-file\`, else of the file of \`--config\`, else of \`ONEPULL_ADMIN_TOKEN\` or
\`ONEPULL_ADMIN_TOKEN_FILE\`. A token of the environment that stands beside \`ONEPULL_ADMIN\` is for that instance, and sent to no
other one. Where the environment alone decides, \`purge\`, \`pin\` and \`unpin\` name the instance.`,
    `To \`onepull serve\` and \`onepull check\` these variables are keys of the configuration, as all \`ONEPULL_\` variables are
([CONFIGURATION.md](CONFIGURATION.md)): \`ONEPULL_ADMIN\` is where the admin API listens, and goes before the file. So it says the same
to both, "the admin API is there", but a shell that has it exported for the commands starts its next instance at that address, too:
then \`env -u ONEPULL_ADMIN onepull serve\`, or \`--admin\` for either.`,
    `\`\`\`\n${helpOf(onepull)}\n\`\`\``,
    ...shown.flatMap(({ words, command }) => [`## onepull ${words.join(' ')}`, `\`\`\`\n${helpOf(command)}\n\`\`\``]),
  ].join('\n\n');
}

function all(parent: Command, before: readonly string[] = []): { words: readonly string[]; command: Command }[] {
  return parent
    .createHelp()
    .visibleCommands(parent)
    .flatMap((command) => {
      const words = [...before, command.name()];
      return [{ words, command }, ...all(command, words)];
    });
}

function helpOf(command: Command): string {
  const parts: string[] = [];
  command.configureOutput({ writeOut: (text) => parts.push(text), getOutHelpWidth: () => columns });
  command.outputHelp();
  return parts.join('').trimEnd();
}
