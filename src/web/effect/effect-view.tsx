import type { Status } from '../../admin/status.ts';
import { counted, percent, size } from '../format/amounts.ts';
import { span } from '../format/times.ts';
import { Figure } from '../parts/figure.tsx';
import { live, serverNowMs } from '../state/store.ts';
import { OverTime } from './over-time.tsx';
import { PercentileTable } from './percentile-table.tsx';
import { UpstreamTable } from './upstream-table.tsx';

export function EffectView() {
  const { effect, status } = live.value;
  if (effect === undefined || status === undefined) return <p class="nothing">Not told yet.</p>;
  return (
    <>
      <Ledger status={status} />
      <OverTime effect={effect} />
      <section aria-labelledby="how-long">
        <h2 id="how-long">How long it takes</h2>
        <PercentileTable effect={effect} />
      </section>
      <section aria-labelledby="by-upstream">
        <h2 id="by-upstream">By upstream</h2>
        <UpstreamTable effect={effect} />
      </section>
    </>
  );
}

/** What was served, as a bar, and how much of that had to come from upstream. */
function Ledger({ status }: { readonly status: Status }) {
  const { servedBytes, upstreamBytes, savedBytes, requests, upstreamRequests, coalescedRequests, hitRatio } =
    status.effect;
  const widest = Math.max(servedBytes, upstreamBytes, 1);
  return (
    <section aria-label="Since the start">
      <div class="ledger panel" aria-hidden="true">
        <LedgerBar name="served" bytes={servedBytes} widest={widest} />
        <LedgerBar name="upstream" bytes={upstreamBytes} widest={widest} />
      </div>
      <dl class="figures">
        <Figure
          name="Served to clients"
          value={size(servedBytes)}
          note={`${counted(requests, 'request')} that ended`}
        />
        <Figure name="From upstream" value={size(upstreamBytes)} note={counted(upstreamRequests, 'request')} />
        <Figure name="Saved" value={size(savedBytes)} note={`${percent(savedBytes, servedBytes)} of what was served`} />
        <Figure
          name="Hit ratio"
          value={hitRatio === undefined ? '–' : percent(hitRatio, 1)}
          note={`${counted(coalescedRequests, 'request')}, ended or not, shared upstream work`}
        />
      </dl>
      <p class="dim">Since the start, {span(serverNowMs.value - status.startedAtMs)} ago.</p>
    </section>
  );
}

function LedgerBar({
  name,
  bytes,
  widest,
}: {
  readonly name: string;
  readonly bytes: number;
  readonly widest: number;
}) {
  return (
    <div class={`ledger-row ledger-${name}`}>
      <span>{name}</span>
      <span class="ledger-track">
        <span class="ledger-fill" style={{ transform: `scaleX(${bytes / widest})` }} />
      </span>
      <span class="num">{size(bytes)}</span>
    </div>
  );
}
