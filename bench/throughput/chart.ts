import { type Bar, type BarGroup, barChart } from '../support/bar-chart.ts';
import { subjectStyle } from '../support/subject-style.ts';
import { manifestsAt } from './parameters.ts';
import { rateText } from './rate-text.ts';
import type { Row } from './summary.ts';

/** Manifests and blobs, for each subject a bar. */
export function throughputChart(rows: readonly Row[], notes: readonly string[]): string {
  const at = (wanted: (row: Row) => boolean) => rows.filter((row) => row.rate.median > 0 && wanted(row));
  const manifests = at((row) => row.case.group === 'manifests' && row.case.connections === manifestsAt);
  const blobs = at(({ case: { group, client } }) => (group === 'blobs' || group === 'ranges') && client === 'lean');
  const tls = at((row) => row.case.group === 'TLS' && row.case.unit === 'bytes');
  return barChart({
    title: 'Hot content: answers for each second, and bytes',
    panels: [
      { title: `Answers for each second, ${manifestsAt} connections`, groups: groupsOf(manifests) },
      { title: 'Bytes for each second', groups: groupsOf([...blobs, ...tls]) },
    ].filter(({ groups }) => groups.length > 0),
    notes,
  });
}

function groupsOf(rows: readonly Row[]): BarGroup[] {
  const cases = Map.groupBy(rows, ({ case: one }) => one);
  return [...cases].map(([{ method, what, connections, group, client }, own]) => {
    const note = group === 'TLS' ? `, TLS (${client})` : '';
    return { title: `${method} ${what}, ${connections} connections${note}`, bars: own.map(barOf) };
  });
}

function barOf({ subject, rate, case: { unit } }: Row): Bar {
  const style = subjectStyle(subject);
  return { label: subject, style, value: rate.median, min: rate.min, max: rate.max, text: rateText(unit, rate.median) };
}
