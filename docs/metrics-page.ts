import { Channels } from '../src/telemetry/channels.ts';
import { type MetricDescription, Metrics } from '../src/telemetry/metrics.ts';
import { RequestCounts } from '../src/telemetry/request-tally.ts';
import { banner, table } from './markdown.ts';
import { type LabelDescription, labelDescriptions } from './metric-labels.ts';

export function metricsPage(): string {
  const metrics = describedMetrics();
  const rows = metrics.map(({ name, type, labels, help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
  ]);
  return [
    '# Metrics',
    banner,
    `\`GET /metrics\` on the admin address, in Prometheus's text format. A label never holds a repository, a digest or
anything that a client chose, so the number of series is bounded. The process's own figures (\`process_*\`, \`nodejs_*\`)
are there too.`,
    table(
      ['Metric', 'Type', 'Labels', 'Meaning'],
      rows.toSorted(([one = ''], [other = '']) => (one < other ? -1 : 1)),
    ),
    '## Labels',
    table(['Label', 'Meaning'], labelRows(metrics)),
  ].join('\n\n');
}

/** Every metric of ours, as `/metrics` would show it. */
export function describedMetrics(): readonly MetricDescription[] {
  const load = () => ({ responses: 0, queuedBytes: 0 });
  const cache = () => ({ sizeBytes: 0, strayBytes: 0, maxBytes: 0 });
  const channels = new Channels();
  const deps = {
    channels,
    requests: new RequestCounts(channels),
    threads: { refresh: async () => {}, busy: () => [] },
    certificateUntilMs: () => undefined,
    gateways: () => ({ running: 0, replaced: 0 }),
    droppedLines: () => 0,
    warnings: () => [],
    memory: {
      shares: { blocks: 0, queued: 0, 'small-blobs': 0, manifests: 0, prepared: 0 },
      blocks: () => ({ usedBytes: 0, pinnedBytes: 0, hits: 0, misses: 0 }),
      smallBlobBytes: () => 0,
    },
    flights: () => [],
    upstreams: () => [],
    cluster: () => undefined,
    load,
    cache,
    diskFreeBytes: async () => 0,
  };
  return new Metrics(deps, { version: '', processMetrics: false }).describe();
}

/** A row for each label and, below it, one for each of its values. Every label of every metric must be described. */
function labelRows(metrics: readonly MetricDescription[]): string[][] {
  const isFor = ({ label, metrics: only }: LabelDescription, { name, labels }: MetricDescription) =>
    labels.includes(label) && (only?.includes(name) ?? true);
  for (const metric of metrics) {
    for (const label of metric.labels) {
      const found = labelDescriptions.filter((known) => known.label === label && isFor(known, metric));
      if (found.length !== 1) throw new Error(`docs/metric-labels.ts describes ${label} of ${metric.name} not once`);
    }
  }
  return labelDescriptions.flatMap((described) => {
    const { label, metrics: only, meaning, values = {} } = described;
    if (!metrics.some((metric) => isFor(described, metric))) throw new Error(`no metric has the label ${label}`);
    const place = only === undefined ? '' : ` of ${only.map((name) => `\`${name}\``).join(', ')}`;
    const rows = Object.entries(values).map(([value, text]) => [`\`${label}="${value}"\``, text]);
    return [[`**\`${label}\`**${place}`, meaning], ...rows];
  });
}
