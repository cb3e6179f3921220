import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import {
  type Channels,
  type CoalescedEvent,
  type FlightEvent,
  isFlightEnd,
  type PassThroughEvent,
} from './channels.ts';
import { addClusterMetrics, type ClusterFigures } from './cluster-gauges.ts';
import { addMemoryGauges, type MemoryFigures } from './memory-gauges.ts';
import { addRequestMetrics } from './request-metrics.ts';
import { type RequestCounts, requestBounds } from './request-tally.ts';
import { addUpstreamCounts } from './upstream-counts.ts';
import { addUpstreamGauges, type UpstreamFigures } from './upstream-gauges.ts';

/** What the gauges read when they are asked. */
export interface MetricsDeps {
  readonly channels: Channels;
  /** What clients were answered, in all threads. */
  readonly requests: RequestCounts;
  flights(): readonly { readonly state: FlightState; readonly waiters: number }[];
  /** What the clients' listener has to carry now. */
  load(): { readonly responses: number; readonly queuedBytes: number };
  /** Threads that answer clients, and how many took the place of one that had died. */
  gateways(): { readonly running: number; readonly replaced: number };
  upstreams(): readonly UpstreamFigures[];
  cache(): { readonly sizeBytes: number; readonly strayBytes: number; readonly maxBytes: number };
  readonly threads: {
    /** Has other threads tell what they counted. */
    refresh(): Promise<void>;
    /** How busy each of them is, between 0 and 1. */
    busy(): readonly { readonly thread: string; readonly ratio: number }[];
  };
  /** When the certificate that clients are shown ceases to hold; undefined where they are shown none. */
  certificateUntilMs(): number | undefined;
  readonly memory: MemoryFigures;
  /** Undefined: this node is alone. */
  cluster(): ClusterFigures | undefined;
  /** What is wrong although requests may come, as `/readyz` says it. */
  warnings(): readonly string[];
  /** Lines that were left out of the log, as nobody took them. */
  droppedLines(): number;
  /** What is free on the cache's disk; undefined where the system does not say. */
  diskFreeBytes(): Promise<number | undefined>;
}

export interface MetricsOptions {
  readonly version: string;
  /** Also the process's own figures (`process_`, `nodejs_`). They observe garbage collection until the process ends. */
  readonly processMetrics: boolean;
}

const flightStates = ['waiting', 'pulling', 'verifying', 'done', 'failed'] as const;
type FlightState = (typeof flightStates)[number];

// Counted from 0: `rate` does not see the first value of a series.
const passCauses: readonly PassThroughEvent['cause'][] = ['too-large', 'disk-full', 'cache-in-use', 'disk-failed'];
const coalescedKinds: readonly CoalescedEvent['kind'][] = [
  'blob',
  'manifest',
  'blob-head',
  'token',
  'tags',
  'referrers',
];

/**
 * The Prometheus metrics, in a registry of their own. Labels are bounded: upstreams come from the configuration, all
 * else from closed sets. A repository, a digest or a client's text never becomes a label.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #threads: MetricsDeps['threads'];

  constructor(deps: MetricsDeps, options: MetricsOptions) {
    this.#threads = deps.threads;
    addUpstreamCounts(this.#registry, deps.channels, deps.upstreams());
    this.#countShared(deps.channels);
    this.#countFaults(deps.channels);
    addRequestMetrics(this.#registry, deps.requests);
    this.#countFlights(deps.channels);
    this.#countEvictions(deps.channels);
    this.#readGauges(deps);
    this.#readThreads(deps);
    this.#readCertificate(deps);
    addMemoryGauges(this.#registry, deps.memory);
    addUpstreamGauges(this.#registry, deps.upstreams);
    addClusterMetrics(this.#registry, deps.channels, () => deps.cluster());
    this.#gauge('build_info', 'The running version; always 1.', ['version']).set({ version: options.version }, 1);
    if (options.processMetrics) collectDefaultMetrics({ register: this.#registry });
  }

  /** The type of what `text` returns. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics, in Prometheus's text format. */
  async text(): Promise<string> {
    await this.#threads.refresh();
    return this.#registry.metrics();
  }

  /** Name, type, labels and help of each metric of ours, for the reference page. */
  describe(): readonly MetricDescription[] {
    return this.#registry
      .getMetricsAsArray()
      .map((metric) => {
        const labels: readonly string[] =
          'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames : [];
        return { name: metric.name, type: String(metric.type), labels, help: metric.help };
      })
      .filter(({ name }) => name.startsWith('onepull_'));
  }

  #countShared({ coalesced }: Channels): void {
    const shared = this.#counter('coalesced_requests_total', 'Requests that shared the upstream work of another.', [
      'kind',
    ]);
    for (const kind of coalescedKinds) shared.inc({ kind }, 0);
    coalesced.subscribe(({ kind }) => shared.inc({ kind }));
  }

  /** What a person would be woken for, or would look at when woken. */
  #countFaults({ retry, hedge, quarantine, passThrough, passedBytes }: Channels): void {
    const retries = this.#counter('upstream_retries_total', 'Further attempts, by what the one before failed of.', [
      'upstream',
      'kind',
      'cause',
      'failover',
    ]);
    retry.subscribe(({ upstream, kind, cause, failover }) =>
      retries.inc({ upstream, kind, cause, failover: String(failover) }),
    );
    const hedges = this.#counter('upstream_hedges_total', 'Manifest requests sent to a second endpoint as well.', [
      'upstream',
      'outcome',
    ]);
    hedge.subscribe(({ upstream, outcome }) => hedges.inc({ upstream, outcome }));
    const quarantined = this.#counter('quarantined_blobs_total', 'Damaged blobs taken out of the store.', ['found_by']);
    for (const found_by of ['scrub', 'serving']) quarantined.inc({ found_by }, 0);
    quarantine.subscribe(({ foundBy }) => quarantined.inc({ found_by: foundBy }));
    const passed = this.#counter('passed_through_total', 'Blobs streamed through memory instead of the disk.', [
      'cause',
    ]);
    for (const cause of passCauses) passed.inc({ cause }, 0);
    passThrough.subscribe(({ cause }) => passed.inc({ cause }));
    const bytes = this.#counter('passed_bytes_total', 'Bytes received for blobs that were streamed through memory.');
    passedBytes.subscribe((event) => bytes.inc(event.bytes));
  }

  #countFlights({ flight }: Channels): void {
    const ends = this.#counter('flight_ends_total', 'Pulls that ended, by how.', ['result']);
    const duration = this.#histogram(
      'pull_seconds',
      'What a pull took that was done, from its start to its commit.',
      [],
      [...requestBounds],
    );
    for (const result of ['done', 'passed', 'failed', 'parked'] as const) ends.inc({ result }, 0);
    flight.subscribe(({ event, durationMs }: FlightEvent) => {
      if (event === 'done') duration.observe(durationMs / 1000);
      if (isFlightEnd(event)) ends.inc({ result: event });
    });
  }

  #countEvictions({ eviction }: Channels): void {
    const blobs = this.#counter('evicted_blobs_total', 'Blobs that left to keep the cache within its size.');
    const bytes = this.#counter('evicted_bytes_total', 'Bytes that left to keep the cache within its size.');
    eviction.subscribe((event) => {
      blobs.inc(event.blobs);
      bytes.inc(event.bytes);
    });
  }

  #readGauges({ flights, load, cache, warnings, diskFreeBytes }: MetricsDeps): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'onepull_flights',
      help: 'Pulls in progress, by state.',
      labelNames: ['state'],
      registers,
      collect() {
        const current = flights();
        for (const state of flightStates)
          this.set({ state }, current.filter((flight) => flight.state === state).length);
      },
    });
    const read = (name: string, help: string, value: () => number) =>
      new Gauge({
        name: `onepull_${name}`,
        help,
        registers,
        collect() {
          this.set(value());
        },
      });
    read('flight_waiters', 'Answers that follow a pull in progress.', () =>
      flights().reduce((sum, { waiters }) => sum + waiters, 0),
    );
    read('warnings', 'Warnings that /readyz gives now: it says which.', () => warnings().length);
    read('responses', 'Answers under way, those that wait for upstream included.', () => load().responses);
    read('queued_bytes', 'Bytes that are held in memory until clients take them.', () => load().queuedBytes);
    read('cache_size_bytes', 'What the cache holds.', () => cache().sizeBytes);
    read(
      'cache_stray_bytes',
      'What of that no manifest references that is here: it leaves first.',
      () => cache().strayBytes,
    );
    read('cache_max_bytes', 'What the cache may hold.', () => cache().maxBytes);
    new Gauge({
      name: 'onepull_disk_free_bytes',
      help: "What is free on the cache's disk.",
      registers,
      async collect() {
        this.set((await diskFreeBytes()) ?? Number.NaN);
      },
    });
  }

  #readThreads({ threads, gateways, droppedLines }: MetricsDeps): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'onepull_thread_busy_ratio',
      help: 'Which part of its time a thread was at work since it was last asked, between 0 and 1.',
      labelNames: ['thread'],
      registers,
      collect() {
        // A thread that is gone is no series any more.
        this.reset();
        for (const { thread, ratio } of threads.busy()) this.set({ thread }, ratio);
      },
    });
    new Gauge({
      name: 'onepull_gateways',
      help: 'Threads that answer clients. 0: the main thread does.',
      registers,
      collect() {
        this.set(gateways().running);
      },
    });
    new Counter({
      name: 'onepull_gateways_replaced_total',
      help: 'Threads that answer clients and took the place of one that had died.',
      registers,
      collect() {
        this.reset();
        this.inc(gateways().replaced);
      },
    });
    new Counter({
      name: 'onepull_log_dropped_lines_total',
      help: 'Lines that were left out of the log because nobody took them in time.',
      registers,
      collect() {
        this.reset();
        this.inc(droppedLines());
      },
    });
  }

  #readCertificate({ certificateUntilMs }: MetricsDeps): void {
    new Gauge({
      name: 'onepull_tls_certificate_expiry_timestamp_seconds',
      help: 'When the certificate of the data port expires, in seconds since the epoch; only where clients speak HTTPS.',
      registers: [this.#registry],
      collect() {
        const untilMs = certificateUntilMs();
        if (untilMs === undefined) this.remove();
        else this.set(untilMs / 1000);
      },
    });
  }

  #counter<Label extends string>(name: string, help: string, labelNames: readonly Label[] = []): Counter<Label> {
    return new Counter({ name: `onepull_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: readonly Label[] = []): Gauge<Label> {
    return new Gauge({ name: `onepull_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    buckets: number[],
  ): Histogram<Label> {
    return new Histogram({ name: `onepull_${name}`, help, labelNames, buckets, registers: [this.#registry] });
  }
}

export interface MetricDescription {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}
