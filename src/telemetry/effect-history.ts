import type { Clock, Timer } from '../core/clock.ts';
import type { Channels, UpstreamRequestEvent } from './channels.ts';
import { type DurationMark, markOf, percentilesSince } from './duration-percentiles.ts';
import type { EffectPoint, EffectSnapshot, EffectTotals } from './effect-snapshot.ts';
import { DurationCounts, firstByteBounds, type RequestCounts, requestBounds } from './request-tally.ts';

export interface EffectHistoryDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'upstreamBytes' | 'upstreamRequest' | 'coalesced' | 'peerReceived' | 'flight'>;
  /** What clients were answered, in all threads. */
  readonly requests: RequestCounts;
}

export interface EffectHistoryOptions {
  /** Names, in the order in which they are shown. */
  readonly upstreams: readonly string[];
  readonly stepMs: number;
  readonly maxPoints: number;
}

/** An hour; a gap of five seconds is seen on a chart of it. */
export const effectHistoryDefaults = { stepMs: 5000, maxPoints: 720 } as const;

interface Mark {
  readonly totals: EffectTotals;
  readonly firstByte: DurationMark;
  readonly pull: DurationMark;
}

/**
 * What onepull saved in the last hour, in memory (P12). Looks at counters that are kept anyway, once in each step.
 *
 * Invariants: all is counted since the start and only subtracted, so the points add up to what the metrics say, other threads'
 * reports included (they are late by a quarter of a second at most, and then belong to the next step). Memory is bounded: a
 * point and a mark for each step.
 */
export class EffectHistory implements Disposable {
  readonly #deps: EffectHistoryDeps;
  readonly #options: EffectHistoryOptions;
  readonly #upstreams: Map<string, { bytes: number; requests: number; errors: number }>;
  readonly #pulls = new DurationCounts(requestBounds);
  readonly #points: EffectPoint[] = [];
  /** At the beginning of each point: of the first one, that of the whole history. */
  readonly #marks: Mark[];
  #peerBytes = 0;
  #coalesced = 0;
  #timer: Timer | undefined;

  constructor(deps: EffectHistoryDeps, options: EffectHistoryOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#upstreams = new Map(options.upstreams.map((name) => [name, { bytes: 0, requests: 0, errors: 0 }]));
    this.#subscribe(deps.channels);
    this.#marks = [this.#mark()];
    this.#wait(deps.clock.monotonic() + options.stepMs);
  }

  snapshot(): EffectSnapshot {
    const { stepMs, maxPoints } = this.#options;
    const since = this.#marks[0];
    return {
      stepMs,
      maxPoints,
      points: [...this.#points],
      firstByteMs: percentilesSince(this.#firstByte(), since?.firstByte),
      pullMs: percentilesSince(this.#pulls, since?.pull),
      upstreams: [...this.#upstreams].map(([name, counts]) => ({ name, ...counts })),
    };
  }

  /** Since the start. */
  totals(): EffectTotals {
    const { requests: counts } = this.#deps;
    let [requests, answers, hits, failures] = [0, 0, 0, 0];
    for (const { labels, duration } of counts.cells()) {
      requests += duration.count;
      if (labels.served !== undefined) answers += duration.count;
      if (labels.served === 'hit' || labels.served === 'stale') hits += duration.count;
      if (isFailure(labels.status)) failures += duration.count;
    }
    const upstreams = [...this.#upstreams.values()];
    return {
      servedBytes: sum(counts.served().values()),
      upstreamBytes: sum(upstreams.map(({ bytes }) => bytes)),
      peerBytes: this.#peerBytes,
      requests,
      answers,
      hits,
      failures,
      coalesced: this.#coalesced,
      upstreamRequests: sum(upstreams.map((upstream) => upstream.requests)),
    };
  }

  [Symbol.dispose](): void {
    this.#timer?.clear();
  }

  #subscribe({ upstreamBytes, upstreamRequest, coalesced, peerReceived, flight }: EffectHistoryDeps['channels']): void {
    upstreamBytes.subscribe(({ upstream, bytes }) => {
      this.#upstream(upstream).bytes += bytes;
    });
    upstreamRequest.subscribe(({ upstream, status }) => {
      const counts = this.#upstream(upstream);
      counts.requests++;
      if (isUpstreamError(status)) counts.errors++;
    });
    coalesced.subscribe(() => {
      this.#coalesced++;
    });
    peerReceived.subscribe(({ bytes }) => {
      this.#peerBytes += bytes;
    });
    flight.subscribe(({ event, durationMs }) => {
      if (event === 'done') this.#pulls.add(durationMs);
    });
  }

  #upstream(name: string) {
    const known = this.#upstreams.get(name) ?? { bytes: 0, requests: 0, errors: 0 };
    this.#upstreams.set(name, known);
    return known;
  }

  /** `dueMs`: by the clock's own time, so that what a step takes does not add up. */
  #wait(dueMs: number): void {
    const { clock } = this.#deps;
    this.#timer = clock.after(Math.max(0, dueMs - clock.monotonic()), () => {
      this.#step();
      // After a machine has slept, the steps that it slept through are none.
      this.#wait(Math.max(dueMs, clock.monotonic()) + this.#options.stepMs);
    });
  }

  #step(): void {
    const before = this.#marks.at(-1)?.totals;
    const mark = this.#mark();
    this.#points.push({ atMs: this.#deps.clock.now(), ...difference(mark.totals, before) });
    this.#marks.push(mark);
    if (this.#points.length <= this.#options.maxPoints) return;
    this.#points.shift();
    this.#marks.shift();
  }

  #mark(): Mark {
    return { totals: this.totals(), firstByte: markOf(this.#firstByte()), pull: markOf(this.#pulls) };
  }

  #firstByte(): DurationCounts {
    const total = new DurationCounts(firstByteBounds);
    for (const { labels, firstByte } of this.#deps.requests.cells()) {
      if (labels.route === 'blob' || labels.route === 'manifest') total.addAll(firstByte);
    }
    return total;
  }
}

function difference(now: EffectTotals, before: EffectTotals | undefined): Omit<EffectPoint, 'atMs'> {
  const since = (name: keyof EffectTotals) => now[name] - (before?.[name] ?? 0);
  return {
    servedBytes: since('servedBytes'),
    upstreamBytes: since('upstreamBytes'),
    peerBytes: since('peerBytes'),
    requests: since('requests'),
    hits: since('hits'),
    coalesced: since('coalesced'),
    failures: since('failures'),
  };
}

function isFailure(status: number): boolean {
  return status === 429 || status >= 500;
}

function isUpstreamError(status: UpstreamRequestEvent['status']): boolean {
  return typeof status === 'string' || isFailure(status);
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
