import type { Command } from 'commander';
import { wrapped } from '../terminal.ts';

/** Where nobody says how wide it may be, and the most that is read with ease. */
const [usualColumns, mostColumns] = [80, 100];

/** Adds the end of a command's help: paragraphs, which are broken to the width, and indented lines, which stay as they are. */
export function withHelp(command: Command, ...parts: readonly string[]): Command {
  return command.addHelpText('after', ({ command: shown }) => {
    const columns = shown.configureOutput().getOutHelpWidth?.() ?? usualColumns;
    return `\n${laidOut(parts.join('\n\n'), Math.min(mostColumns, columns))}`;
  });
}

function laidOut(text: string, columns: number): string {
  const blocks: string[] = [];
  let isOpen = false;
  for (const line of text.trim().split('\n')) {
    const isText = line !== '' && !line.startsWith(' ');
    // What ends with a colon is the head of what stands below it.
    if (isText && isOpen) blocks.push(`${blocks.pop()} ${line}`);
    else blocks.push(line);
    isOpen = isText && !line.endsWith(':');
  }
  return blocks.map((block) => (block.startsWith(' ') ? block : wrapped(block, columns))).join('\n');
}
