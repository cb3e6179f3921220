import type { Spread } from '../support/statistics.ts';
import type { Verdict } from '../support/verdict.ts';
import type { Case } from './cases.ts';
import type { LoadSample } from './measure-load.ts';
import { blobsAt, manifestsAt } from './parameters.ts';
import { type Contestant, ratio } from './summary.ts';

/** The least that onepull's manifests by digest may be over those of others. */
const manifestTargets = { distribution: 30, nginx: 0.8 } as const;
/** By a tag that is fresh, over by digest. */
const tagTarget = 0.9;
const blobTargets = { distribution: 1.3, nginx: 1.5 } as const;
/** What counts as no worse: the spread of one load with itself is as large. */
const rangeTarget = 0.98;

/** Of what was measured; a target whose subject is not there is not judged. */
export function judge(cases: readonly Case[], samples: readonly LoadSample[]): Verdict[] {
  const verdict = (target: string, one: Contestant, other: Contestant, least: number): Verdict[] => {
    const measured = ratio(samples, one, other);
    if (Number.isNaN(measured.median)) return [];
    return [{ target: `${target} >= ${least}x`, measured: spreadOf(measured), met: measured.median >= least }];
  };
  const versus = (what: string, load: Case, targets: Readonly<Record<string, number>>) => {
    const own = { case: load, subject: 'onepull' };
    return Object.entries(targets).flatMap(([subject, least]) => {
      return verdict(`${what}: over ${subject}`, own, { case: load, subject }, least);
    });
  };
  const gets = cases.filter(({ group, method }) => (group === 'manifests' || group === 'blobs') && method === 'GET');
  const byDigest = gets.find((c) => c.what === 'manifest by digest' && c.connections === manifestsAt);
  const byTag = gets.find((c) => c.what === 'manifest by tag' && c.connections === manifestsAt);
  const blobs = gets.filter(({ what, connections }) => what === 'blob' && blobsAt.includes(connections));
  const verdicts: Verdict[] = [];
  if (byDigest !== undefined) {
    verdicts.push(...versus(`manifests by digest, ${manifestsAt} connections`, byDigest, manifestTargets));
    if (byTag !== undefined) {
      const own = (load: Case) => ({ case: load, subject: 'onepull' });
      verdicts.push(...verdict('manifests by a fresh tag: over by digest', own(byTag), own(byDigest), tagTarget));
    }
  }
  for (const blob of blobs) {
    const where = `${blob.connections} connections (${blob.client})`;
    verdicts.push(...versus(`blobs, ${where}`, blob, blobTargets));
    const ranges = cases.find(
      (c) => c.group === 'ranges' && c.client === blob.client && c.connections === blob.connections,
    );
    if (ranges === undefined) continue;
    const own = (load: Case) => ({ case: load, subject: 'onepull' });
    verdicts.push(...verdict(`ranges, ${where}: over whole bodies`, own(ranges), own(blob), rangeTarget));
  }
  return verdicts;
}

function spreadOf({ median, min, max }: Spread): string {
  const text = (value: number) => value.toFixed(value < 10 ? 2 : 0);
  return `${text(median)}x (${text(min)} to ${text(max)})`;
}
