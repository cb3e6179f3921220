import { chartStyle, escaped } from './chart-style.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Drawn as a vertical line through the point. */
  readonly min?: number;
  readonly max?: number;
}

export interface Series {
  /** Stands at the last point, so that nobody has to look for a legend. */
  readonly label: string;
  /** Which colour: 1, 2, ..., or `reference` for a dashed line without points. */
  readonly style: number | 'reference';
  readonly points: readonly Point[];
}

export interface Panel {
  readonly title: string;
  readonly xTitle: string;
  /** Behind the numbers of the y axis; `x` unless told. */
  readonly unit?: string;
  readonly series: readonly Series[];
}

export interface Chart {
  readonly title: string;
  readonly panels: readonly Panel[];
  /** Small print below, one line each. */
  readonly notes: readonly string[];
}

const panelWidth = 440;
const plot = { left: 52, top: 62, width: 364, height: 246 } as const;
const noteHeight = 16;

/** An SVG picture of panels side by side, each with logarithmic axes: x by powers of 2, y by powers of 10. */
export function lineChart({ title, panels, notes }: Chart): string {
  const width = panelWidth * panels.length;
  const notesTop = plot.top + plot.height + 58;
  const height = notesTop + notes.length * noteHeight;
  const small = notes.map((note, n) => text(16, notesTop + n * noteHeight, note, 'class="note"'));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img">`,
    `  <title>${escaped(title)}</title>`,
    `  <style>${chartStyle}\n  </style>`,
    ...panels.map((panel, n) => panelSvg(panel, n * panelWidth)),
    ...small.map((line) => `  ${line}`),
    '</svg>\n',
  ].join('\n');
}

interface Scales {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
}

function panelSvg({ title, xTitle, series, unit = 'x' }: Panel, left: number): string {
  const points = series.flatMap((one) => one.points);
  const ticks = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  // A little more than the highest point, so that a name fits above it.
  const decades = Math.max(1, Math.log10(Math.max(...points.map(({ y, max }) => max ?? y))) + 0.15);
  const scales = scalesOf(ticks, decades);
  const bottom = plot.top + plot.height;
  const lines = [
    text(16, 28, title, 'class="title"'),
    ...Array.from({ length: Math.floor(decades) + 1 }, (_, n) => gridLine(10 ** n, unit, scales)),
    ...ticks.map((tick) => text(scales.x(tick), bottom + 18, String(tick), 'text-anchor="middle"')),
    text(plot.left + plot.width / 2, bottom + 36, xTitle, 'text-anchor="middle"'),
    ...series.flatMap((one) => seriesSvg(one, scales)),
  ];
  return `  <g transform="translate(${left} 0)">\n${lines.map((line) => `    ${line}`).join('\n')}\n  </g>`;
}

function scalesOf(ticks: readonly number[], decades: number): Scales {
  const [first, last] = [Math.log2(ticks[0] ?? 1), Math.log2(ticks.at(-1) ?? 2)];
  // The line of 1 stands a little above the bottom, for what is drawn below it.
  const floor = -0.12;
  return {
    x: (value) => plot.left + 12 + ((Math.log2(value) - first) / Math.max(1, last - first)) * (plot.width - 24),
    y: (value) => plot.top + plot.height * (1 - (Math.log10(value) - floor) / (decades - floor)),
  };
}

function gridLine(value: number, unit: string, { y }: Scales): string {
  const [right, at] = [plot.left + plot.width, round(y(value))];
  const rule = `<line class="grid" x1="${plot.left}" x2="${right}" y1="${at}" y2="${at}"/>`;
  return rule + text(plot.left - 8, at + 4, `${value}${unit}`, 'text-anchor="end"');
}

function seriesSvg({ label, style: kind, points }: Series, { x, y }: Scales): string[] {
  const last = points.at(-1);
  if (last === undefined) return [];
  const path = points.map((point) => `${round(x(point.x))},${round(y(point.y))}`).join(' ');
  if (kind === 'reference') {
    // Below the middle of its line, where other names seldom are: they stand above the ends of lines.
    const at = points[1] ?? last;
    const name = text(x(at.x) + 10, y(at.y) + 18, label, 'text-anchor="start"');
    return [`<polyline class="reference" points="${path}"/>`, name];
  }
  const name = text(x(last.x), y(last.y) - 11, label, `text-anchor="end" class="name f${kind}"`);
  const line = `<polyline class="line s${kind}" points="${path}"/>`;
  return [line, ...points.map((point) => dot(point, kind, { x, y })), name];
}

function dot(point: Point, kind: number, { x, y }: Scales): string {
  const at = round(x(point.x));
  const { min, max } = point;
  const range =
    min === undefined || max === undefined
      ? ''
      : `<line class="s${kind}" x1="${at}" x2="${at}" y1="${round(y(min))}" y2="${round(y(max))}"/>`;
  return `${range}<circle class="f${kind}" cx="${at}" cy="${round(y(point.y))}" r="4"/>`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escaped(content)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
