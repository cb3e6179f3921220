import type { EffectSnapshot, Percentiles } from '../../telemetry/effect-snapshot.ts';
import { duration } from '../format/times.ts';

/** Medians first: what most clients see; then what the slowest see. */
export function PercentileTable({ effect }: { readonly effect: EffectSnapshot }) {
  const rows: readonly (readonly [string, Percentiles])[] = [
    ['First byte of a response', effect.firstByteMs],
    ['A whole pull from upstream', effect.pullMs],
  ];
  return (
    <div class="table-frame panel">
      <table class="compact">
        <thead>
          <tr>
            <th scope="col">Of all</th>
            <th scope="col" class="num">
              half within
            </th>
            <th scope="col" class="num">
              90&nbsp;% within
            </th>
            <th scope="col" class="num">
              99&nbsp;% within
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, { p50, p90, p99 }]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="num">{p50 === undefined ? '–' : duration(p50)}</td>
              <td class="num">{p90 === undefined ? '–' : duration(p90)}</td>
              <td class="num">{p99 === undefined ? '–' : duration(p99)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
