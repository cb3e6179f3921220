import { ago, exactTime } from '../format/times.ts';
import { serverNowMs } from '../state/store.ts';

/** How long ago, with the exact time for whoever points at it. */
export function Ago({ atMs }: { readonly atMs: number }) {
  return (
    <time dateTime={new Date(atMs).toISOString()} title={exactTime(atMs)}>
      {ago(atMs, serverNowMs.value)}
    </time>
  );
}
