import { constants } from 'node:os';
import type { Terminal } from './terminal.ts';
import { type Line, lineText } from './text-line.ts';

/** Prints lines once: cut to the width of a terminal, whole where they go anywhere else. */
export function printLines(terminal: Terminal, lines: readonly Line[]): void {
  const columns = terminal.isInteractive ? terminal.columns : Number.POSITIVE_INFINITY;
  if (lines.length > 0) terminal.print(lines.map((line) => lineText(line, terminal, columns)).join('\n'));
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}

/**
 * `onepull images | head -1`: whoever read us has gone, and there is nobody left to print for. The exit code is that of what a
 * SIGPIPE ends, as most commands are.
 */
export function endWithReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(128 + constants.signals.SIGPIPE);
    });
  }
}
