import type { EffectPoint } from '../../telemetry/effect-snapshot.ts';

/** Columns as uPlot wants them: seconds, then one column per series. */
export type Columns = [number[], ...(number | null)[][]];

export interface ChartSeries {
  readonly name: string;
  /** A CSS variable: the colours of light and dark stand in the style sheet. */
  readonly colour: string;
  readonly isFilled?: boolean;
  /** Drawn only where it is not zero, and left out where it is so all over: a line at zero would only hide others. */
  readonly isOptional?: boolean;
  /** What a point counted of it. */
  of(point: EffectPoint): number;
}

export interface ChartContent {
  readonly columns: Columns;
  readonly series: readonly ChartSeries[];
}

/** What each point counted, per second; from `fromMs` on. A step that is missing is a gap, not a line drawn across it. */
export function perSecond(
  points: readonly EffectPoint[],
  stepMs: number,
  fromMs: number,
  all: readonly ChartSeries[],
): ChartContent {
  const shown = points.filter(({ atMs }) => atMs >= fromMs);
  const series = all.filter(({ isOptional, of }) => isOptional !== true || shown.some((point) => of(point) !== 0));
  const xs: number[] = [];
  const ys: (number | null)[][] = series.map(() => []);
  let lastMs: number | undefined;
  for (const point of shown) {
    if (lastMs !== undefined && point.atMs - lastMs > 1.5 * stepMs) {
      xs.push((lastMs + stepMs) / 1000);
      for (const column of ys) column.push(null);
    }
    xs.push(point.atMs / 1000);
    for (const [n, { of, isOptional }] of series.entries()) {
      const value = (of(point) * 1000) / stepMs;
      ys[n]?.push(isOptional === true && value === 0 ? null : value);
    }
    lastMs = point.atMs;
  }
  return { columns: [xs, ...ys], series };
}

/** Steps of an axis of bytes: powers of two, as the units are. */
export const byteSteps: readonly number[] = Array.from({ length: 50 }, (_, n) => 2 ** n);
