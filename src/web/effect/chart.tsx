import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { theme } from '../state/theme.ts';
import type { ChartContent } from './chart-data.ts';

interface ChartProps {
  readonly content: ChartContent;
  readonly fromMs: number;
  readonly toMs: number;
  readonly format: (value: number) => string;
  readonly steps?: readonly number[];
  /** What it shows, for those who do not see it. */
  readonly label: string;
}

const height = 190;

/** A chart over time. It is drawn anew where data, size or theme change, and tells nothing that the page does not also say in text. */
export function Chart(props: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const { columns, series } = props.content;
  const { value: shownTheme } = theme;
  const names = series.map(({ name }) => name).join();

  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const made = new uPlot(
      options(latest, element, shownTheme),
      latest.current.content.columns as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shownTheme, names]);

  useEffect(() => {
    plot.current?.setData(columns as uPlot.AlignedData);
  }, [columns]);

  return <div class="chart" ref={frame} role="img" aria-label={props.label} />;
}

function options(latest: { readonly current: ChartProps }, element: HTMLElement, _theme: string): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const font = `12px ${style.fontFamily}`;
  const axis = {
    font,
    stroke: colour('--ink-2'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  const {
    content: { series },
    format,
    steps,
  } = latest.current;
  return {
    width: element.clientWidth,
    height,
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { range: () => [latest.current.fromMs / 1000, latest.current.toMs / 1000] },
      y: { range: (_, _least, most) => [0, Math.max(1, most * 1.1)] },
    },
    axes: [
      { ...axis, size: 32, space: 70, values: (_, splits) => splits.map(clockTime) },
      {
        ...axis,
        size: 76,
        values: (_, splits) => splits.map(format),
        ...(steps === undefined ? {} : { incrs: [...steps] }),
      },
    ],
    series: [
      { label: 'Time', value: (_, at: number | null) => (at === null ? '–' : clockTime(at)) },
      ...series.map(({ name, colour: variable, isFilled, isOptional = false }) => ({
        label: name,
        stroke: colour(variable),
        width: 1.75,
        ...(isFilled ? { fill: `color-mix(in srgb, ${colour(variable)} 18%, transparent)` } : {}),
        points: { show: isOptional, size: 5 },
        value: (_: uPlot, value: number | null) => (value === null ? '–' : format(value)),
        ...(uPlot.paths.stepped === undefined ? {} : { paths: uPlot.paths.stepped({ align: -1 }) }),
      })),
    ],
  };
}

function clockTime(atSeconds: number): string {
  const at = new Date(atSeconds * 1000);
  const [hours, minutes, seconds] = [at.getHours(), at.getMinutes(), at.getSeconds()].map((n) =>
    String(n).padStart(2, '0'),
  );
  return seconds === '00' ? `${hours}:${minutes}` : `${hours}:${minutes}:${seconds}`;
}
