import type { Verdict } from '../support/verdict.ts';
import type { Row } from './summary.ts';

/** The least that onepull's rate may be over Distribution's. */
const target = 1.5;

export function judge(rows: readonly Row[]): Verdict[] {
  return rows
    .filter(({ subject }) => subject === 'distribution')
    .map(({ onepullOver: { median, min, max } }) => ({
      target: `ingest without a limit of the line: over distribution >= ${target}x`,
      measured: `${median.toFixed(2)}x (${min.toFixed(2)} to ${max.toFixed(2)})`,
      met: median >= target,
    }));
}
