import { chartStyle, escaped } from './chart-style.ts';

export interface Bar {
  readonly label: string;
  /** Which colour: 1, 2, ... */
  readonly style: number;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Stands at its end. */
  readonly text: string;
}

export interface BarGroup {
  /** Above its bars; nothing where there is one group only. */
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface BarPanel {
  readonly title: string;
  readonly groups: readonly BarGroup[];
}

export interface BarChart {
  readonly title: string;
  readonly panels: readonly BarPanel[];
  /** Small print below, one line each. */
  readonly notes: readonly string[];
}

const panelWidth = 560;
const plot = { left: 150, top: 46, width: 320 } as const;
const barHeight = 14;
const rowHeight = 18;
const groupTitleHeight = 24;
const noteHeight = 16;

/** An SVG picture of panels side by side, each with groups of horizontal bars from zero, linear within a panel. */
export function barChart({ title, panels, notes }: BarChart): string {
  const width = panelWidth * panels.length;
  const notesTop = plot.top + Math.max(0, ...panels.map(({ groups }) => groupsHeight(groups))) + 34;
  const height = notesTop + notes.length * noteHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img">`,
    `  <title>${escaped(title)}</title>`,
    `  <style>${chartStyle}\n  </style>`,
    ...panels.map((panel, n) => panelSvg(panel, n * panelWidth)),
    ...notes.map((note, n) => `  ${text(16, notesTop + n * noteHeight, note, 'class="note"')}`),
    '</svg>\n',
  ].join('\n');
}

function groupsHeight(groups: readonly BarGroup[]): number {
  return groups.reduce((sum, group) => sum + titleHeight(group) + group.bars.length * rowHeight, 0);
}

function titleHeight({ title }: BarGroup): number {
  return title === '' ? 0 : groupTitleHeight;
}

function panelSvg({ title, groups }: BarPanel, left: number): string {
  const most = Math.max(0, ...groups.flatMap(({ bars }) => bars.map(({ max }) => max))) || 1;
  const lines = [text(16, 28, title, 'class="title"')];
  let y: number = plot.top;
  for (const group of groups) {
    if (group.title !== '') lines.push(text(16, y + 16, group.title, 'class="name"'));
    y += titleHeight(group);
    for (const bar of group.bars) {
      lines.push(...barSvg(bar, y, plot.width / most));
      y += rowHeight;
    }
  }
  return `  <g transform="translate(${left} 0)">\n${lines.map((line) => `    ${line}`).join('\n')}\n  </g>`;
}

function barSvg({ label, style, value, min, max, text: figure }: Bar, y: number, scale: number): string[] {
  const middle = y + barHeight / 2;
  const end = plot.left + max * scale;
  return [
    text(plot.left - 8, middle + 4, label, 'text-anchor="end"'),
    `<rect class="f${style}" x="${plot.left}" y="${y}" width="${round(value * scale)}" height="${barHeight}"/>`,
    `<line class="whisker" x1="${round(plot.left + min * scale)}" x2="${round(end)}" y1="${middle}" y2="${middle}"/>`,
    text(end + 6, middle + 4, figure, `class="name"`),
  ];
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escaped(content)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
