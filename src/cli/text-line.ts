import { stripVTControlCharacters } from 'node:util';
import type { Terminal } from './terminal.ts';

export type Format = Parameters<Terminal['paint']>[0];

/** A run of text in one format. */
export interface Piece {
  readonly text: string;
  readonly format?: Format | undefined;
}

export type Line = readonly Piece[];

type Style = Pick<Terminal, 'paint' | 'hasUnicode'>;

/** Text as it may be shown: what a server or an upstream said must not move the cursor or break the line. */
export function piece(text: string, format?: Format): Piece {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return { text: stripVTControlCharacters(text).replace(/[\x00-\x1f\x7f-\x9f]/g, ' '), format };
}

/** The line in colours, cut where it would leave the terminal. */
export function lineText(line: Line, style: Style, columns: number = Number.POSITIVE_INFINITY): string {
  let left = columns;
  let text = '';
  for (const [index, part] of line.entries()) {
    const isLast = line.slice(index + 1).every((later) => later.text.trim() === '');
    // A column that is padded for others is not cut, for nothing of it is lost.
    const own = isLast ? part.text.trimEnd() : part.text;
    const shown = own.length <= left ? own : cut(own, left, style);
    const trimmed = isLast ? shown.trimEnd() : shown;
    text += part.format === undefined || trimmed === '' ? trimmed : style.paint(part.format, trimmed);
    left -= shown.length;
    if (left <= 0 || isLast) break;
  }
  return text;
}

/** Shortened in the middle, so that the end stays: in an image's name that is the tag. */
export function shortened(text: string, columns: number, { hasUnicode }: Pick<Terminal, 'hasUnicode'>): string {
  if (text.length <= columns) return text;
  const gap = hasUnicode ? '…' : '...';
  const kept = Math.max(0, columns - gap.length);
  const tail = Math.ceil(kept * 0.6);
  return `${text.slice(0, kept - tail)}${gap}${text.slice(text.length - tail)}`.slice(0, columns);
}

export interface TableLayout {
  readonly indent?: number;
  /** Columns that are set to the right, by number from 0. */
  readonly right?: readonly number[];
  /** Widths to keep, by number: of tables that are drawn again and again. */
  readonly least?: Readonly<Record<number, number>>;
}

/** Rows below each other, two spaces between columns. */
export function tableLines(rows: readonly Line[], { indent = 0, right = [], least = {} }: TableLayout = {}): Line[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(least[column] ?? 0, ...rows.map((row) => row[column]?.text.length ?? 0)),
  );
  return rows.map((row) => [
    { text: ' '.repeat(indent) },
    ...row.map(({ text, format }, column) => {
      const width = widths[column] ?? 0;
      const padded = right.includes(column) ? text.padStart(width) : text.padEnd(width);
      return { text: column === 0 ? padded : `  ${padded}`, format };
    }),
  ]);
}

function cut(text: string, columns: number, { hasUnicode }: Style): string {
  if (columns <= 0) return '';
  const gap = hasUnicode ? '…' : '';
  return `${text.slice(0, columns - gap.length)}${gap}`;
}
