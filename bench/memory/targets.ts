import type { Verdict } from '../support/verdict.ts';
import type { MemoryRow } from './summary.ts';

const mebi = 2 ** 20;
/** What may be used at most with so many slow readers. */
const bounds = [
  { slowReaders: 600, bytes: 300 * mebi },
  { slowReaders: 2000, bytes: 400 * mebi },
] as const;
/** The fast reader loses less than a fifth of its rate. */
const leastRate = 0.8;

export function judge(rows: readonly MemoryRow[], slowBytesPerSecond: number): Verdict[] {
  return rows
    .filter(({ subject, slowReaders }) => subject === 'onepull' && slowReaders > 0)
    .flatMap((row) => judgeRow(row, slowBytesPerSecond));
}

function judgeRow(row: MemoryRow, slowBytesPerSecond: number): Verdict[] {
  const { slowReaders, peakBytes, coldRatio, warmRatio, failed, slowBytesPerSecond: taken } = row;
  const readers = `${slowReaders} slow readers`;
  const bound = bounds.find((one) => slowReaders <= one.slowReaders);
  const peak = `${(peakBytes.max / mebi).toFixed(0)} MiB`;
  const memory: Verdict[] =
    bound === undefined
      ? []
      : [
          {
            target: `${readers}: peak memory < ${bound.bytes / mebi} MiB, in every round`,
            measured: peak,
            met: peakBytes.max < bound.bytes,
          },
        ];
  const rate = (name: string, { median, min, max }: MemoryRow['warmRatio']): Verdict => ({
    target: `${readers}: a fast reader loses < 20% of its rate ${name}`,
    measured: `${median.toFixed(2)}x (${min.toFixed(2)} to ${max.toFixed(2)})`,
    met: median > leastRate,
  });
  const share = taken.median / (slowReaders * slowBytesPerSecond);
  return [
    ...memory,
    rate('while the blob comes', coldRatio),
    rate('once it is there', warmRatio),
    {
      target: `${readers}: each gets what it takes, and none fails`,
      measured: `${(share * 100).toFixed(0)}% of that, ${failed} failed`,
      met: failed === 0 && share > 0.9,
    },
  ];
}
