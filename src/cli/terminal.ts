import type { Writable } from 'node:stream';
import { styleText } from 'node:util';

/** Where a command writes: `process.stdout`, or a pipe, or a test's stream. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

/** What the place where text goes can show. */
export interface Terminal {
  readonly output: Output;
  readonly isInteractive: boolean;
  readonly hasUnicode: boolean;
  readonly columns: number;
  /** Colours, where the terminal has them and nobody said no (NO_COLOR, see no-color.org). */
  paint(format: Parameters<typeof styleText>[0], text: string): string;
  print(text: string): void;
}

export function terminalOn(output: Output, env: NodeJS.ProcessEnv): Terminal {
  const isInteractive = output.isTTY === true && env.TERM !== 'dumb';
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return {
    output,
    isInteractive,
    hasUnicode: isInteractive && /utf-?8/i.test(locale),
    columns: output.columns ?? 80,
    paint: (format, text) => (isInteractive ? styleText(format, text, { stream: output }) : text),
    print: (text) => void output.write(`${text}\n`),
  };
}

/** `text` in lines of at most `columns`, broken at spaces. */
export function wrapped(text: string, columns: number): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}
