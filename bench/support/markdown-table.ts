export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  readonly cell: (row: Row) => string;
}

/** A Markdown table, padded so that it reads as well in a terminal. */
export function markdownTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row).replaceAll('|', '\\|')));
  const widths = columns.map(({ title }, n) => Math.max(3, title.length, ...cells.map((row) => row[n]?.length ?? 0)));
  const line = (texts: readonly string[]) => {
    const padded = texts.map((text, n) => {
      const width = widths[n] ?? 0;
      return columns[n]?.align === 'right' ? text.padStart(width) : text.padEnd(width);
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = columns.map(({ align }, n) => {
    const width = widths[n] ?? 3;
    return align === 'right' ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width);
  });
  return [line(columns.map(({ title }) => title)), `| ${rule.join(' | ')} |`, ...cells.map(line)].join('\n');
}
