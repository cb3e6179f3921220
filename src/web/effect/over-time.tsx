import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import type { EffectPoint, EffectSnapshot } from '../../telemetry/effect-snapshot.ts';
import { count, counted, rate, size } from '../format/amounts.ts';
import { Chart } from './chart.tsx';
import { byteSteps, type ChartSeries, perSecond } from './chart-data.ts';

const minuteMs = 60_000;
const leastMs = 2 * minuteMs;
const windows = [5, 15, 60] as const;

const byteSeries: readonly ChartSeries[] = [
  { name: 'Served', colour: '--served', isFilled: true, of: ({ servedBytes }) => servedBytes },
  { name: 'From upstream', colour: '--upstream', isFilled: true, of: ({ upstreamBytes }) => upstreamBytes },
  { name: 'From peers', colour: '--peer', isOptional: true, of: ({ peerBytes }) => peerBytes },
];
const requestSeries: readonly ChartSeries[] = [
  { name: 'Requests', colour: '--ink-2', of: ({ requests }) => requests },
  { name: 'Hits', colour: '--done', of: ({ hits }) => hits },
  { name: 'Shared', colour: '--served', of: ({ coalesced }) => coalesced },
  { name: 'Failed', colour: '--fail', isOptional: true, of: ({ failures }) => failures },
];

/** Served against fetched bytes, and requests, over the last minutes. */
export function OverTime({ effect }: { readonly effect: EffectSnapshot }) {
  const minutes = useSignal<number>(15);
  const { points, stepMs } = effect;
  const toMs = points.at(-1)?.atMs ?? Date.now();
  const fromMs = startOf(points, toMs, minutes.value * minuteMs);
  const [bytes, requests] = useMemo(
    () => [perSecond(points, stepMs, fromMs, byteSeries), perSecond(points, stepMs, fromMs, requestSeries)] as const,
    [points, stepMs, fromMs],
  );
  const shown = points.filter(({ atMs }) => atMs >= fromMs);
  const total = (value: (point: EffectPoint) => number) => shown.reduce((sum, point) => sum + value(point), 0);
  const last = `In the last ${minutes.value} minutes`;
  const words = `${last} ${size(total((point) => point.servedBytes))} were served and ${size(
    total((point) => point.upstreamBytes),
  )} came from upstream.`;
  const requestWords = `${last} there were ${counted(
    total((point) => point.requests),
    'request',
  )} that ended, ${count(total((point) => point.hits))} of them hits and ${counted(
    total((point) => point.failures),
    'failure',
  )}. ${count(total((point) => point.coalesced))}, ended or not, shared upstream work with others.`;
  return (
    <section aria-labelledby="over-time">
      <div class="heading-row">
        <h2 id="over-time">Over time</h2>
        <fieldset class="choice">
          <legend class="hidden">How far back</legend>
          {windows.map((value) => (
            <label key={value}>
              <input
                type="radio"
                name="window"
                checked={minutes.value === value}
                onChange={() => {
                  minutes.value = value;
                }}
              />
              <span>{value} min</span>
            </label>
          ))}
        </fieldset>
      </div>
      <figure class="panel chart-panel">
        <figcaption>
          <h3>Bytes per second</h3>
          <p class="dim">{words}</p>
        </figcaption>
        <Chart content={bytes} fromMs={fromMs} toMs={toMs} format={axisRate} steps={byteSteps} label={words} />
      </figure>
      <figure class="panel chart-panel">
        <figcaption>
          <h3>Requests per second</h3>
          <p class="dim">{requestWords}</p>
        </figcaption>
        <Chart content={requests} fromMs={fromMs} toMs={toMs} format={perSecondText} label={requestWords} />
      </figure>
    </section>
  );
}

function axisRate(value: number): string {
  return value === 0 ? '0' : rate(value).replace('.0', '');
}

function perSecondText(value: number): string {
  return `${value >= 10 || Number.isInteger(value) ? count(Math.round(value)) : value.toFixed(1)}/s`;
}

/** A history that is shorter than what was asked for is not drawn into a corner. */
function startOf(points: readonly EffectPoint[], toMs: number, windowMs: number): number {
  const began = points[0]?.atMs ?? toMs;
  return Math.max(toMs - windowMs, Math.min(began, toMs - leastMs));
}
