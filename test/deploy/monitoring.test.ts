import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { grafanaDashboard } from '../../deploy/grafana/dashboard.ts';
import { describedMetrics } from '../../docs/metrics-page.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';

const run = promisify(execFile);
const folder = new URL('../../deploy/prometheus/', import.meta.url);
const metrics = new Map(describedMetrics().map((metric) => [metric.name, metric]));
/** Prometheus and Grafana add these. */
const addedLabels = new Set(['instance', 'job', 'le']);

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const alerts = (
  parse(readFileSync(new URL('alerts.yaml', folder), 'utf8')) as { groups: { rules: Rule[] }[] }
).groups.flatMap(({ rules }) => rules);
const queries = [...JSON.stringify(grafanaDashboard()).matchAll(/"(?:expr|query)":"((?:[^"\\]|\\.)*)"/g)].map(
  ([, text = '']) => JSON.parse(`"${text}"`) as string,
);

test('the alerts ask for metrics and labels that exist', () => {
  assert.ok(alerts.length > 0);
  for (const { alert, expr } of alerts) {
    assert.deepEqual(unknownIn(expr), [], alert);
    if (alert !== 'OnepullDown') assert.match(expr, /onepull_/, alert);
  }
});

/** How a value is written so that a person can read it: `humanize` writes 38 thousandths as 38.11m. */
const readable = /^\$value \| (humanizePercentage|humanize1024|humanizeDuration|printf "%\.0f")$/;

test('every number in the text of an alert is written for people', () => {
  const values = alerts.flatMap(({ annotations }) =>
    Object.values(annotations).flatMap((text) =>
      [...text.matchAll(/\{\{ (\$value[^}]*) \}\}/g)].map(([, value]) => value),
    ),
  );
  assert.ok(values.length >= 4);
  for (const value of values) assert.match(value ?? '', readable);
});

test('the Grafana dashboard asks for metrics and labels that exist', () => {
  assert.ok(queries.length > 20);
  for (const query of queries) assert.deepEqual(unknownIn(query), [], query);
});

test('the Grafana dashboard asks in PromQL', { skip: needs('promtool') }, async () => {
  await using folder = await TemporaryDirectory.make();
  const file = join(folder.path, 'queries.json'); // JSON is YAML
  const rules = queries
    .filter((query) => !query.startsWith('label_values('))
    .map((query) => query.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '3h').replaceAll(/\$\w+/g, 'x'))
    .filter((query) => query !== 'prometheus')
    .map((expr, index) => ({ record: `query:${index}`, expr }));
  assert.ok(rules.length > 20);
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'queries', rules }] }));
  await run('promtool', ['check', 'rules', file]);
});

test('a metric or a label that does not exist is found', () => {
  assert.deepEqual(unknownIn('rate(onepull_nothing_total[5m])'), ['onepull_nothing_total']);
  assert.deepEqual(unknownIn('sum by (flavour) (onepull_flights{taste="sour"})'), ['taste', 'flavour']);
  assert.deepEqual(unknownIn('onepull_flights_bucket'), ['onepull_flights_bucket']);
  assert.deepEqual(unknownIn('sum by (le) (onepull_pull_seconds_bucket{job="x"})'), []);
});

test('the alerts fire when they should, and not otherwise', { skip: needs('promtool') }, async () => {
  const at = (name: string) => fileURLToPath(new URL(name, folder));
  await run('promtool', ['check', 'rules', at('alerts.yaml')]);
  await run('promtool', ['test', 'rules', at('alerts.test.yaml')]);
  const tested = readFileSync(at('alerts.test.yaml'), 'utf8');
  for (const { alert } of alerts) assert.ok(tested.includes(alert), `${alert} is never seen to fire`);
});

/** Names of metrics and of labels in a PromQL expression that onepull does not have. */
function unknownIn(expr: string): string[] {
  const names = [...expr.matchAll(/\bonepull_\w+/g)].map(([name]) => name);
  const asked = names.map((name) => ({ name, metric: metrics.get(name) ?? histogramOf(name) }));
  const labels = new Set(asked.flatMap(({ metric }) => metric?.labels ?? []));
  const matched = [...expr.matchAll(/[{,]\s*(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label);
  const grouped = [...expr.matchAll(/\b(?:by|on|without)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(','));
  return [
    ...asked.filter(({ metric }) => metric === undefined).map(({ name }) => name),
    ...[...matched, ...grouped.map((label) => label.trim())].filter(
      (label) => !labels.has(label) && !addedLabels.has(label),
    ),
  ];
}

function histogramOf(name: string) {
  const metric = metrics.get(name.replace(/_(bucket|sum|count)$/, ''));
  return metric?.type === 'histogram' ? metric : undefined;
}
