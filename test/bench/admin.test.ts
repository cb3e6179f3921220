import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PageSample } from '../../bench/admin/measure-page.ts';
import { fullRun } from '../../bench/admin/parameters.ts';
import { adminReport } from '../../bench/admin/report.ts';
import type { AdminSample } from '../../bench/admin/run.ts';
import { summarise, summarisePage } from '../../bench/admin/summary.ts';
import { judge, judgePage } from '../../bench/admin/targets.ts';
import { describeMachine } from '../../bench/support/machine.ts';

function sample(
  round: number,
  load: AdminSample['load'],
  viewers: number,
  figures: Partial<AdminSample> = {},
): AdminSample {
  const told = { events: 5 * viewers, bytes: 5000 * viewers, scrapes: 1 };
  return { round, load, viewers, seconds: 5, requests: 0, bytes: 0, errors: [], cpuMs: 0, told, ...figures };
}

const samples = [
  sample(1, 'nothing', 0, { cpuMs: 500 }),
  sample(1, 'nothing', 5, { cpuMs: 700 }),
  sample(2, 'nothing', 5, { cpuMs: 900 }),
  sample(2, 'nothing', 0, { cpuMs: 500 }),
  sample(1, 'manifest', 0, { requests: 1000, bytes: 5 }),
  sample(1, 'manifest', 5, { requests: 980, bytes: 1 }),
  sample(2, 'manifest', 0, { requests: 2000 }),
  sample(2, 'manifest', 5, { requests: 2000 }),
  sample(1, 'blob', 0, { requests: 1, bytes: 1000 }),
  sample(1, 'blob', 5, { requests: 1, bytes: 900 }),
  sample(2, 'blob', 0, { requests: 1, bytes: 1000 }),
  sample(2, 'blob', 5, { requests: 1, bytes: 950 }),
];

test('viewers are compared with none in the same round: answers of manifests, bytes of blobs, CPU of nothing', () => {
  const rows = new Map(summarise(samples).map((row) => [`${row.load} ${row.viewers}`, row]));
  assert.deepEqual(rows.get('manifest 5')?.ratio, { median: 0.99, min: 0.98, max: 1 });
  assert.deepEqual(rows.get('blob 5')?.ratio, { median: 0.925, min: 0.9, max: 0.95 });
  const added = rows.get('nothing 5')?.addedCores;
  assert.deepEqual([added?.min.toFixed(3), added?.max.toFixed(3)], ['0.040', '0.080']);
  assert.deepEqual(rows.get('blob 5')?.eventsPerSecond, { median: 1, min: 1, max: 1 });
  assert.equal(rows.get('blob 5')?.eventBytes.median, 1000);
});

test('a load that loses more than 3 % misses its target, and so does one with errors', () => {
  const met = (given: readonly AdminSample[]) => judge(summarise(given), 500, 2).map((verdict) => verdict.met);
  assert.deepEqual(met(samples), [false, true, false]);
  assert.deepEqual(met([sample(1, 'nothing', 0), sample(1, 'nothing', 1, { cpuMs: 299 })]), [true]);
  const errors = [sample(1, 'manifest', 0, { requests: 1 }), sample(1, 'manifest', 1, { requests: 1, errors: ['x'] })];
  assert.deepEqual(met(errors), [false]);
});

function pageSample(round: number, figures: Partial<PageSample> = {}): PageSample {
  return {
    round,
    seconds: 20,
    events: 20,
    taskMs: 1000,
    scriptMs: 400,
    layoutMs: 100,
    styleMs: 100,
    browserMs: 4000,
    heapBytes: [5_000_000, 5_100_000],
    nodes: [3000, 3010],
    ...figures,
  };
}

test('what the page costs is told for each event; one that takes a tenth of a core, or grows, misses its target', () => {
  const met = (figures: Partial<PageSample>) => judgePage(summarisePage({ samples: [pageSample(1, figures)] }), 500);
  assert.deepEqual(
    met({}).map(({ measured, met: isMet }) => [measured, isMet]),
    [
      ['5.0%', true],
      ['1.02x', true],
    ],
  );
  assert.deepEqual(
    met({ events: 9, heapBytes: [5_000_000, 6_000_000] }).map((verdict) => verdict.met),
    [false, false],
  );
  const row = summarisePage({ samples: [pageSample(1), pageSample(2, { taskMs: 1200 }), pageSample(3)] });
  assert.ok(!('skipped' in row));
  assert.deepEqual(row.taskMs, { median: 50, min: 50, max: 60 });
  assert.equal(row.browserCores.median, 0.2);
});

test('the report has a row for each and says what is met', () => {
  const rows = summarise(samples);
  const verdicts = judge(rows, 500, 2);
  const page = summarisePage({ samples: [pageSample(1)] });
  const report = adminReport({ machine: describeMachine('x'), parameters: fullRun, rows, page, verdicts });
  assert.match(report, /\| manifest *\| *5 \|.*0\.990/);
  assert.match(report, /1\.0\/s \| *50\.0 ms \|/);
  assert.match(report, /NOT met/);
});

test('where the page could not be looked at the report says what is missing', () => {
  const page = summarisePage({ skipped: 'needs: apt-get install chromium' });
  assert.deepEqual(judgePage(page, 500), []);
  const report = adminReport({ machine: describeMachine('x'), parameters: fullRun, rows: [], page, verdicts: [] });
  assert.match(report, /Not measured: needs: apt-get install chromium\./);
});
