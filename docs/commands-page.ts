import type { Command } from 'commander';
import { program } from '../src/cli/program.ts';
import { banner } from './markdown.ts';

/** As wide as the code of the page. */
const columns = 110;

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
    `Commands about a running instance ask its admin API: at \`--admin\`, else at \`ONEPULL_ADMIN\`, else where the file of \`--config\`
says, else at 127.0.0.1:5001. Where the instance wants a token for what changes something, it is that of \`--token-file\`,
\`ONEPULL_ADMIN_TOKEN\`, \`ONEPULL_ADMIN_TOKEN_FILE\`, or of the file of \`--config\`.`,
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
