import { formatDuration, formatSize } from '../../core/units.ts';
import type { Terminal } from '../terminal.ts';
import type { DemoResult } from './result.ts';

type Row = readonly [name: string, onItsOwn: string, throughOnepull: string, effect: string];

/** The result as a person takes it in at a glance. */
export function tableText(result: DemoResult, terminal: Pick<Terminal, 'hasUnicode' | 'paint'>): string {
  const { hasUnicode, paint } = terminal;
  const head: Row = ['', 'each on its own', 'through onepull', 'effect'];
  const rows = rowsOf(result);
  const widths = head.map((_, n) => Math.max(...[head, ...rows].map((row) => row[n]?.length ?? 0)));
  const cells = (row: Row) =>
    row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0)));
  const bold = (row: readonly string[]) => row.map((cell) => paint('bold', cell));
  const marked = ([name = '', own = '', through = '', effect = '']: readonly string[]) => {
    return [name, own, paint('bold', through), paint(['bold', 'green'], effect)];
  };
  const rule = (left: string, cross: string, right: string) => {
    return paint('dim', `${left}${widths.map((width) => '─'.repeat(width + 2)).join(cross)}${right}`);
  };
  const bar = paint('dim', '│');
  const line = (texts: readonly string[]) => {
    return hasUnicode ? `${bar} ${texts.join(` ${bar} `)} ${bar}` : `  ${texts.join('   ')}`;
  };
  const body = rows.map((row) => line(marked(cells(row))));
  const heading = line(bold(cells(head)));
  if (!hasUnicode) return [heading, ...body].join('\n');
  return [rule('┌', '┬', '┐'), heading, rule('├', '┼', '┤'), ...body, rule('└', '┴', '┘')].join('\n');
}

/** What happened, in one sentence; every figure in it is measured. */
export function sentence({ nodes, image, onItsOwn, throughOnepull }: DemoResult): string {
  const times = (bytes: number) => `${(bytes / image.totalBytes).toFixed(1)} times`;
  return (
    `${nodes} nodes wanted the same image at once: on their own they fetched it ${times(onItsOwn.upstreamBytes)} ` +
    `and the last was ready after ${formatDuration(onItsOwn.slowestNodeMs)}; ` +
    `onepull fetched it ${times(throughOnepull.upstreamBytes)}, gave every byte to all of them as it came, ` +
    `and the last was ready after ${formatDuration(throughOnepull.slowestNodeMs)}.`
  );
}

function rowsOf({ onItsOwn: own, throughOnepull: through, savedBytes }: DemoResult): readonly Row[] {
  const row = (
    name: string,
    figure: 'upstreamRequests' | 'upstreamBytes' | 'slowestNodeMs' | 'medianNodeMs',
    text: (value: number) => string,
  ): Row => {
    return [name, text(own[figure]), text(through[figure]), effect(own[figure], through[figure])];
  };
  const savedPercent = Math.round((100 * savedBytes) / own.upstreamBytes);
  return [
    row('upstream requests', 'upstreamRequests', String),
    row('upstream bytes', 'upstreamBytes', formatSize),
    row('slowest node', 'slowestNodeMs', formatDuration),
    row('median node', 'medianNodeMs', formatDuration),
    ['bytes saved', '-', formatSize(Math.max(0, savedBytes)), `${Math.max(0, savedPercent)}%`],
  ];
}

/** `1/50` where the second is a fiftieth of the first, `1.3x` where it is more. */
function effect(own: number, through: number): string {
  if (own <= 0 || through <= 0) return '-';
  const ratio = own / through;
  if (ratio >= 9.5) return `1/${Math.round(ratio)}`;
  if (ratio >= 1.05) return `1/${ratio.toFixed(1).replace('.0', '')}`;
  return ratio > 0.95 ? 'same' : `${(1 / ratio).toFixed(1)}x`;
}
