import { Counter, type Registry } from 'prom-client';
import type { RefusedEvent, RequestLabels, ServedBytesEvent } from './channels.ts';
import {
  type CountedRequests,
  DurationCounts,
  firstByteBounds,
  type RequestCounts,
  requestBounds,
} from './request-tally.ts';

const origins: readonly ServedBytesEvent['from'][] = ['cache', 'flight'];
const bounds: readonly RefusedEvent['bound'][] = [
  'connections',
  'responses',
  'queued-bytes',
  'flights',
  'descriptors',
  'pass-through',
];

/** What clients were answered, sent and refused. All of it is counted elsewhere and read when it is asked for. */
export function addRequestMetrics(registry: Registry, counts: RequestCounts): void {
  const count = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    values: () => Iterable<readonly [Record<Label, string>, number]>,
  ) =>
    new Counter<Label>({
      name: `onepull_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [labels, value] of values()) this.inc(labels, value);
      },
    });
  count(
    'requests_total',
    'Requests of clients, by how they were served.',
    ['route', 'method', 'status', 'served'],
    () => cellsOf(counts).map((cell) => [labelsOf(cell.labels), cell.duration.count]),
  );
  count('request_errors_total', 'Requests of clients that failed, by error code.', ['code'], () =>
    counts
      .errors()
      .entries()
      .map(([code, number]) => [{ code }, number]),
  );
  count(
    'requests_incomplete_total',
    'Requests whose answer broke off: the client left, or the content failed.',
    ['route'],
    () =>
      cellsOf(counts)
        .filter(({ incomplete }) => incomplete > 0)
        .map(({ labels: { route }, incomplete }) => [{ route }, incomplete]),
  );
  // From 0: `rate` does not see the first value of a series.
  count('served_bytes_total', 'Body bytes sent to clients, by where they came from.', ['from'], () =>
    origins.map((from) => [{ from }, counts.served().get(from) ?? 0]),
  );
  count('refused_total', 'New work refused because a bound was reached.', ['bound'], () =>
    bounds.map((bound) => [{ bound }, counts.refused().get(bound) ?? 0]),
  );
  new DurationMetric(registry, {
    name: 'onepull_first_byte_seconds',
    help: "From a request's arrival to the first byte of its answer's body.",
    labelNames: ['route', 'served'],
    bounds: firstByteBounds,
    read: () => cellsOf(counts).map(({ labels, firstByte }) => [pick(labelsOf(labels), 'route', 'served'), firstByte]),
  });
  new DurationMetric(registry, {
    name: 'onepull_request_seconds',
    help: "From a request's arrival to the end of its answer.",
    labelNames: ['route'],
    bounds: requestBounds,
    read: () => cellsOf(counts).map(({ labels, duration }) => [pick(labelsOf(labels), 'route'), duration]),
  });
}

interface DurationMetricOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly bounds: readonly number[];
  /** What has the same labels is added up. */
  read(): Iterable<readonly [Readonly<Record<string, string>>, DurationCounts]>;
}

/**
 * A histogram whose counts are kept elsewhere. Of prom-client's metrics the counter is the one that shows what it is given:
 * its histogram shows only what was observed through it, one by one.
 */
class DurationMetric extends Counter {
  readonly type = 'histogram';
  readonly #options: DurationMetricOptions;

  constructor(registry: Registry, options: DurationMetricOptions) {
    const { name, help, labelNames } = options;
    super({ name, help, labelNames, registers: [registry] });
    this.#options = options;
  }

  override async get(): ReturnType<Counter['get']> {
    return { ...(await super.get()), values: [...this.#series()].flatMap((series) => this.#values(series)) };
  }

  #series(): Iterable<Series> {
    const byLabels = new Map<string, Series>();
    for (const [labels, durations] of this.#options.read()) {
      if (durations.count === 0) continue;
      const key = Object.values(labels).join(' ');
      const series = byLabels.get(key) ?? { labels, total: new DurationCounts(this.#options.bounds) };
      series.total.addAll(durations);
      byLabels.set(key, series);
    }
    return byLabels.values();
  }

  #values({ labels, total }: Series) {
    const { name, bounds } = this.#options;
    const within = total.cumulative();
    return [
      ...bounds.map((le, index) => ({
        metricName: `${name}_bucket`,
        labels: { le, ...labels },
        value: within[index] ?? 0,
      })),
      { metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: total.count },
      { metricName: `${name}_sum`, labels, value: total.sumSeconds },
      { metricName: `${name}_count`, labels, value: total.count },
    ];
  }
}

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly total: DurationCounts;
}

function cellsOf(counts: RequestCounts): IteratorObject<CountedRequests> {
  return Iterator.from(counts.cells());
}

function labelsOf({ route, method, status, served }: RequestLabels) {
  return { route, method, status: status === 0 ? 'other' : String(status), served: served ?? 'none' };
}

function pick<Key extends string>(
  labels: Readonly<Record<Key, string>>,
  ...keys: readonly Key[]
): Record<string, string> {
  return Object.fromEntries(keys.map((key) => [key, labels[key]]));
}
