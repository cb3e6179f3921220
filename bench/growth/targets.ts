import type { Spread } from '../support/statistics.ts';
import type { Verdict } from '../support/verdict.ts';
import type { UpkeepSample } from './measure-store.ts';
import type { ClientsRow, SizeRow } from './summary.ts';

const readyWithinMs = 1000;
/** The rate of one cache differs as much from round to round. */
const leastRate = 0.9;

export interface Measured {
  readonly sizes: readonly SizeRow[];
  readonly upkeep: readonly UpkeepSample[];
  readonly clients: readonly ClientsRow[];
}

/** What is promised of a million blobs is asked of the largest cache that was measured. */
export function judge({ sizes, upkeep, clients }: Measured): Verdict[] {
  const [least, largest] = [sizes[0], sizes.at(-1)];
  if (least === undefined || largest === undefined) return judgeClients(clients);
  const blobs = `${largest.blobs} blobs`;
  const killed = upkeep.find((sample) => sample.blobs === largest.blobs)?.readyAfterKillMs ?? Number.NaN;
  const hot = largest.hits.filter(({ spread }) => spread === 'hot');
  return [
    {
      target: `${blobs}: ready in < 1 s`,
      measured: `${largest.readyMs.median.toFixed(0)} ms (${least.readyMs.median.toFixed(0)} ms with ${least.blobs})`,
      met: largest.readyMs.median < readyWithinMs,
    },
    {
      target: `${blobs}: ready in < 1 s after it was killed`,
      measured: `${killed.toFixed(0)} ms`,
      met: killed < readyWithinMs,
    },
    ...hot.map(({ asked, rateRatio, failed }): Verdict => {
      const target = `${blobs}: hot hits (${asked}) as fast as with ${least.blobs}: >= ${leastRate}x their rate`;
      return { target, measured: ratioText(rateRatio), met: rateRatio.median >= leastRate && failed === 0 };
    }),
    ...judgeClients(clients),
  ];
}

function judgeClients(rows: readonly ClientsRow[]): Verdict[] {
  const most = Math.max(...rows.map(({ connections }) => connections));
  return rows
    .filter(({ connections }) => connections === most)
    .map(({ content, failed }) => ({
      target: `${most} connections, hot ${content}: none fails`,
      measured: `${failed} failed`,
      met: failed === 0,
    }));
}

function ratioText({ median, min, max }: Spread): string {
  return `${median.toFixed(2)}x (${min.toFixed(2)} to ${max.toFixed(2)})`;
}
