import type { EffectSnapshot } from '../../telemetry/effect-snapshot.ts';
import { count, size } from '../format/amounts.ts';

export function UpstreamTable({ effect }: { readonly effect: EffectSnapshot }) {
  const upstreams = [...effect.upstreams].sort((a, b) => b.bytes - a.bytes || b.requests - a.requests);
  if (upstreams.length === 0) return <p class="nothing">No upstream was asked yet.</p>;
  return (
    <div class="table-frame panel">
      <table class="compact">
        <thead>
          <tr>
            <th scope="col">Upstream</th>
            <th scope="col" class="num">
              Bytes
            </th>
            <th scope="col" class="num">
              Requests
            </th>
            <th scope="col" class="num">
              Errors
            </th>
          </tr>
        </thead>
        <tbody>
          {upstreams.map(({ name, bytes, requests, errors }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="num">{size(bytes)}</td>
              <td class="num">{count(requests)}</td>
              <td class={`num${errors > 0 ? ' is-bad' : ''}`}>{count(errors)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
