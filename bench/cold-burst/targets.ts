import { quantile } from '../support/statistics.ts';
import type { Verdict } from '../support/verdict.ts';
import type { LatencySample } from './measure-latency.ts';
import type { WarmSample } from './measure-warm.ts';
import type { Row } from './summary.ts';

export interface Measured {
  readonly rows: readonly Row[];
  readonly latencies: readonly LatencySample[];
  readonly warm: WarmSample;
}

/** From so many clients on the targets of a burst hold. */
const burstClients = 64;
/** The most that the slowest pull may take over a direct one. */
const slowestTarget = 1.05;

export function judge({ rows, latencies, warm }: Measured): Verdict[] {
  const fullImageBytes = Math.max(...rows.map(({ imageBytes }) => imageBytes));
  const bursts = rows.filter(
    ({ subject, clients, imageBytes }) =>
      subject === 'onepull' && clients >= burstClients && imageBytes === fullImageBytes,
  );
  return [...bursts.flatMap(judgeBurst), ...judgeLatency(latencies), judgeWarm(warm)];
}

function judgeBurst(row: Row): Verdict[] {
  const { clients, bytesRatio, slowestRatio, upstream, failed, unfinished } = row;
  const verdict = (target: string, measured: string, met: boolean): Verdict => {
    return { target: `${clients} clients, ${target}`, measured, met };
  };
  const slowest = `${slowestRatio.median.toFixed(3)}x (${slowestRatio.min.toFixed(3)} to ${slowestRatio.max.toFixed(3)})`;
  const perManifest = `${upstream.maxHeadPerManifest} HEAD, ${upstream.maxGetPerManifest} GET`;
  return [
    verdict(
      'upstream bytes <= 1.001x the image, in every round',
      `${bytesRatio.max.toFixed(4)}x`,
      bytesRatio.max <= 1.001,
    ),
    verdict('one body per blob', `${upstream.maxBodiesPerBlob}`, upstream.maxBodiesPerBlob <= 1),
    verdict('no HEAD per blob', `${upstream.headBlob}`, upstream.headBlob === 0),
    verdict(
      'at most one HEAD and one GET per manifest reference',
      perManifest,
      upstream.maxHeadPerManifest <= 1 && upstream.maxGetPerManifest <= 1,
    ),
    verdict(
      `slowest pull <= ${slowestTarget}x one direct pull, median of rounds`,
      slowest,
      slowestRatio.median <= slowestTarget,
    ),
    verdict('no failed pull', `${failed} failed, ${unfinished} unfinished`, row.isComplete),
  ];
}

function judgeLatency(latencies: readonly LatencySample[]): Verdict[] {
  const waiters = Math.max(...latencies.map((sample) => sample.waiters));
  const verdict = (target: string, values: (sample: LatencySample) => readonly number[]): Verdict => {
    const p99 = quantile(latencies.flatMap(values), 0.99);
    // Of each repeat as well: one pause of the machine spoils one of them, a slow cache all.
    const each = latencies.map((sample) => quantile(values(sample), 0.99).toFixed(1)).join(', ');
    return { target, measured: `${p99.toFixed(2)} ms (of each repeat: ${each})`, met: p99 <= 10 };
  };
  return [
    verdict(
      `a new byte is with each of ${waiters} waiters within 10 ms, p99 of all repeats`,
      ({ waiterMs }) => waiterMs,
    ),
    verdict('a range on disk is answered within 10 ms while the rest is awaited, p99', ({ rangeMs }) => rangeMs),
  ];
}

function judgeWarm({ fresh, expired, failed }: WarmSample): Verdict {
  const requests = ({ headManifest, getManifest, headBlob, getBlob, other }: WarmSample['fresh']) => {
    return headManifest + getManifest + headBlob + getBlob + other;
  };
  const measured = `${requests(fresh)} requests while the tag is fresh; then ${expired.headManifest} HEAD, ${
    requests(expired) - expired.headManifest
  } others`;
  const met = requests(fresh) === 0 && expired.headManifest <= 1 && requests(expired) === expired.headManifest;
  return { target: 'warm pulls touch upstream only to revalidate the tag', measured, met: met && failed === 0 };
}
