import type { Spread } from '../support/statistics.ts';
import type { Verdict } from '../support/verdict.ts';
import type { CrowdRow, HitRow, MissRow, SpreadRow, Summary } from './summary.ts';

const lastTarget = 2;
const slowestTarget = 1.2;
const missTargetMs = 5;
const absenceTargetMs = 100;
/** Some calls of a beat more or less, and no call for each hit. */
const callsTarget = 0.1;
/** Headers and acknowledgements are sent as well, and counted with the line's bytes. */
const headerShare = 1.08;

/** What is promised of 32 nodes is asked of the most that were measured, on lines of each speed. */
export function judge({ spreads, crowds, misses, hits }: Summary, maxChildren: number): Verdict[] {
  const own = spreads.filter(({ subject }) => subject === 'cluster');
  const most = Math.max(...own.map(({ nodes }) => nodes));
  const largest = own.filter(({ nodes }) => nodes === most);
  return [
    ...largest.flatMap((row) => judgeSpread(row, maxChildren)),
    ...crowds.flatMap(judgeCrowd),
    ...misses.map(judgeMiss),
    ...hits.map(judgeHit),
  ];
}

function judgeSpread(row: SpreadRow, maxChildren: number): Verdict[] {
  const { nodes, scale, lastRatio, bytesRatio, mostSentRatio, failed, unfinished, cores } = row;
  const slower = scale === 1 ? '' : ` on lines ${scale}x slower`;
  const verdict = (target: string, measured: string, met: boolean): Verdict => {
    return { target: `${nodes} nodes${slower}, ${target}`, measured, met };
  };
  const busy = `${cores.machine.median.toFixed(2)} cores busy`;
  return [
    verdict(
      `the last one done <= ${lastTarget.toFixed(1)}x the bound, median of rounds`,
      `${ratioText(lastRatio)}, ${busy}`,
      lastRatio.median <= lastTarget,
    ),
    verdict('upstream bytes 1.00x the image, in every round', `${bytesRatio.max.toFixed(4)}x`, bytesRatio.max < 1.005),
    verdict(
      `no node sends more than maxChildren (${maxChildren}) x the image`,
      `${mostSentRatio.max.toFixed(2)}x`,
      mostSentRatio.max <= maxChildren * headerShare,
    ),
    verdict('no failed pull', `${failed} failed, ${unfinished} unfinished`, failed + unfinished === 0),
  ];
}

function judgeCrowd(row: CrowdRow): Verdict[] {
  const { clients, slowestRatio, bytesRatio, maxBodiesPerBlob, maxGetPerManifest, failed } = row;
  const verdict = (target: string, measured: string, met: boolean): Verdict => {
    return { target: `${clients} clients of several nodes, ${target}`, measured, met };
  };
  return [
    verdict(
      `slowest one <= ${slowestTarget}x one direct pull, median of rounds`,
      ratioText(slowestRatio),
      slowestRatio.median <= slowestTarget,
    ),
    verdict(
      'upstream bytes <= 1.001x the image, in every round',
      `${bytesRatio.max.toFixed(4)}x`,
      bytesRatio.max <= 1.001,
    ),
    verdict('one upstream body per blob', String(maxBodiesPerBlob), maxBodiesPerBlob <= 1),
    verdict('one GET per manifest', String(maxGetPerManifest), maxGetPerManifest <= 1),
    verdict('no failed pull', `${failed} failed`, failed === 0),
  ];
}

function judgeMiss({ engine, kind, addedMedianMs, addedP99Ms, addedMostMs }: MissRow): Verdict {
  if (engine === 'well') {
    const measured = `${signed(addedMedianMs.median)} ms, the 99th percentile ${signed(addedP99Ms.median)} ms`;
    const met = addedMedianMs.median < missTargetMs;
    return { target: `a missed ${kind} takes < ${missTargetMs} ms longer in a cluster, median`, measured, met };
  }
  const how = engine === 'hangs' ? 'that hangs' : 'that is gone';
  return {
    target: `an engine ${how} costs a missed ${kind} < ${absenceTargetMs} ms, the slowest of all`,
    measured: `${addedMostMs.toFixed(1)} ms`,
    met: addedMostMs < absenceTargetMs,
  };
}

function judgeHit({ kind, callsPerThousand, rateRatio }: HitRow): Verdict {
  return {
    target: `hits of a ${kind} do not call the engine`,
    measured: `${callsPerThousand.toFixed(3)} calls per 1,000; ${ratioText(rateRatio)} the rate without a cluster`,
    met: callsPerThousand <= callsTarget,
  };
}

function ratioText({ median, min, max }: Spread): string {
  return `${median.toFixed(2)}x (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

function signed(ms: number): string {
  return `${ms < 0 ? '' : '+'}${ms.toFixed(2)}`;
}
