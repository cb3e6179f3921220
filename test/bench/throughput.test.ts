import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Case, caseName, casesOf } from '../../bench/throughput/cases.ts';
import { throughputChart } from '../../bench/throughput/chart.ts';
import { chosenCases } from '../../bench/throughput/command.ts';
import type { LoadSample } from '../../bench/throughput/measure-load.ts';
import { fullRun, quickRun } from '../../bench/throughput/parameters.ts';
import { subjectOf } from '../../bench/throughput/subjects.ts';
import { summarise } from '../../bench/throughput/summary.ts';
import { judge } from '../../bench/throughput/targets.ts';

const cases = casesOf(quickRun);

function named(name: string): Case {
  const found = cases.find((one) => caseName(one) === name);
  assert.ok(found, `${name} is none of ${cases.map(caseName).join('; ')}`);
  return found;
}

const byDigest = named('GET manifest by digest, wrk -t1 -c32');
const byTag = named('GET manifest by tag, wrk -t1 -c32');
const blob = named('GET blob, lean -c8');
const ranges = named('GET ranges of a blob, lean -c8');

/** One second with so many answers, or bytes. */
function sample(one: Case, subject: string, rate: number, others: Partial<LoadSample> = {}): LoadSample {
  return {
    round: 1,
    case: caseName(one),
    subject,
    requests: one.unit === 'requests' ? rate : 1,
    bytes: one.unit === 'bytes' ? rate : 1,
    seconds: 1,
    latencyMs: undefined,
    errors: [],
    cpu: { clientMs: 500, subjectMs: 1000, machineMs: 1900 },
    ...others,
  };
}

function missed(samples: readonly LoadSample[]): string[] {
  return judge(cases, samples)
    .filter(({ met }) => !met)
    .map(({ target }) => target);
}

test('no two measurements of a run have the same name, and everybody who takes part can be made', async () => {
  for (const parameters of [fullRun, quickRun]) {
    const all = casesOf(parameters);
    assert.equal(new Set(all.map(caseName)).size, all.length);
    const names = new Set(all.flatMap(({ subjects }) => subjects));
    for (const name of names) await subjectOf(name, { paths: [], certificate: undefined });
  }
  assert.throws(() => subjectOf('somebody', { paths: [], certificate: undefined }), /nobody/);
});

test('rates are medians of the rounds that went well, and one that failed is counted', () => {
  const [row] = summarise(cases, [
    sample(byDigest, 'onepull', 100),
    sample(byDigest, 'onepull', 300, { round: 2 }),
    sample(byDigest, 'onepull', 0, { round: 3, errors: ['3 status errors'] }),
  ]);
  assert.deepEqual(row?.rate, { median: 200, min: 100, max: 300 });
  assert.deepEqual([row?.rounds, row?.failed, row?.errors], [3, 1, ['3 status errors']]);
  assert.equal(row?.cores.client, 0.5);
});

test('the cost of an answer is the CPU time of who gives it over the answers', () => {
  const [row] = summarise(cases, [sample(byDigest, 'nginx', 4000)]);
  assert.equal(row?.cost, 1 / 4000);
  const untold = { clientMs: 1, subjectMs: undefined, machineMs: 1 };
  assert.equal(summarise(cases, [sample(byDigest, 'nginx', 4000, { cpu: untold })])[0]?.cost, undefined);
});

test('each target is missed for its own reason', () => {
  const good = [
    sample(byDigest, 'onepull', 30_000),
    sample(byDigest, 'distribution', 1000),
    sample(byDigest, 'nginx', 37_500),
    sample(byTag, 'onepull', 27_000),
    sample(blob, 'onepull', 1500),
    sample(blob, 'distribution', 1150),
    sample(blob, 'nginx', 1000),
    sample(ranges, 'onepull', 1480),
  ];
  assert.deepEqual(missed(good), []);
  assert.equal(judge(cases, good).length, 6);
  const worse: [Case, string, number, RegExp][] = [
    [byDigest, 'distribution', 1001, /by digest.*distribution >= 30x/],
    [byDigest, 'nginx', 38_000, /by digest.*nginx >= 0.8x/],
    [byTag, 'onepull', 26_900, /fresh tag.*>= 0.9x/],
    [blob, 'distribution', 1160, /blobs, 8.*distribution >= 1.3x/],
    [blob, 'nginx', 1001, /blobs, 8.*nginx >= 1.5x/],
    [ranges, 'onepull', 1400, /ranges, 8/],
  ];
  for (const [one, subject, rate, target] of worse) {
    const others = good.filter((s) => s.case !== caseName(one) || s.subject !== subject);
    const targets = missed([...others, sample(one, subject, rate)]);
    assert.equal(targets.length, 1, targets.join('\n'));
    assert.match(targets[0] ?? '', target);
  }
});

test('what is not there is not judged, and ratios are of the same round', () => {
  assert.deepEqual(judge(cases, [sample(byDigest, 'onepull', 1)]), []);
  const verdicts = judge(cases, [
    sample(byDigest, 'onepull', 100),
    sample(byDigest, 'nginx', 100),
    sample(byDigest, 'onepull', 300, { round: 2 }),
    sample(byDigest, 'nginx', 100, { round: 2 }),
    sample(byDigest, 'nginx', 9999, { round: 3 }),
  ]);
  assert.deepEqual(
    verdicts.map(({ measured }) => measured),
    ['2.00x (1.00 to 3.00)'],
  );
});

test('measurements and who takes part can be chosen by name, but not none', () => {
  const [only] = chosenCases(cases, { only: 'GET blob, lean -c8', subjects: 'onepull,varnish' });
  assert.deepEqual(only?.subjects, ['onepull', 'onepull, no threads', 'varnish']);
  assert.throws(() => chosenCases(cases, { only: 'PUT' }), /no measurement/);
});

test('the chart has a bar for each subject that was measured, none for one that failed', () => {
  const svg = throughputChart(
    summarise(cases, [
      sample(byDigest, 'onepull', 100),
      sample(byDigest, 'nginx', 50),
      sample(blob, 'nginx', 2e9),
      sample(blob, 'onepull', 0, { errors: ['not a byte'] }),
    ]),
    [],
  );
  assert.equal(svg.match(/<rect /g)?.length, 3);
  assert.match(svg, />2\.00 GB\/s</);
});
