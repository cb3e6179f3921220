import type { Clock, Timer } from '../core/clock.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { Feed, type FeedListener, type FeedOptions, type FeedOutcome } from './feed.ts';
import type { FillBody } from './fill-body.ts';
import { planRange } from './range-planner.ts';
import { RecordKeeper } from './record-keeper.ts';
import type { RetryPolicy, Source, SourceBody, Urgency } from './source.ts';
import type { SourceRoster } from './source-roster.ts';

export interface FillingOptions extends FeedOptions {
  /** Ranges of one blob in flight at once, at most. */
  readonly maxRanges: number;
}

/** What readers wait for: the first byte one misses, and where its part ends (undefined: with the blob). */
export interface Want {
  readonly from: number;
  readonly to: number | undefined;
}

/** What a filling tells its flight. Calls are synchronous. */
export interface FillingHost {
  wants(body: FillBody): Want[];
  /** Responses that follow the flight. */
  readonly waiters: number;
  /** Bytes came, or the size became known: readers may go on. */
  progressed(): void;
  /** Every byte is there. Said once. */
  completed(): void;
  /** No source can bring what is missing. Said once. */
  gaveUp(error: AppError): void;
  /** A source has another size than the body was opened for, or has already; the filling has ended. */
  contradicted(error: AppError, sizeBytes: number | undefined): void;
  /** Bytes came from a source, wanted or not. */
  received(bytes: number): void;
  noted(event: 'range-opened' | 'source-failed', source: Source, error: AppError | undefined): void;
}

/** Ranges beside others that may fail before a filling stays with what it has. */
const maxRangeFailures = 3;
const replanAfterMs = 250;

/**
 * Brings the bytes of one body: plans ranges, runs a feed for each, and tries again where one fails.
 *
 * Invariants
 * - Feeds are opened by `#plan` alone, never while it pauses, never after it is over (complete, given up or stopped).
 * - A feed that fails beside others only costs its range; the one that fails alone counts against the retry budget, which
 *   a byte of progress fills up again.
 * - After `stop` has resolved nothing writes to the body's storage any more.
 */
export class Filling implements FeedListener {
  readonly #body: FillBody;
  readonly #roster: SourceRoster;
  readonly #host: FillingHost;
  readonly #clock: Clock;
  readonly #retry: RetryPolicy;
  readonly #options: FillingOptions;
  readonly #records: RecordKeeper;
  readonly #feeds = new Set<Feed>();
  readonly #running = new Set<Promise<void>>();
  readonly #contributors = new Set<Source>();
  #over = false;
  #maxFeeds: number;
  #ignoresRanges = false;
  #failuresInRow = 0;
  #rangeFailures = 0;
  #plannedAtMs = 0;
  #pause: { readonly timer: Timer; readonly reason: string } | undefined;
  #attempts = 0;
  #lastFailed: Source | undefined;

  constructor(
    deps: { body: FillBody; roster: SourceRoster; host: FillingHost; clock: Clock; retry: RetryPolicy },
    options: FillingOptions,
  ) {
    this.#body = deps.body;
    this.#roster = deps.roster;
    this.#host = deps.host;
    this.#clock = deps.clock;
    this.#retry = deps.retry;
    this.#options = options;
    this.#maxFeeds = options.maxRanges;
    this.#records = new RecordKeeper(deps.body, deps.clock);
  }

  get body(): FillBody {
    return this.#body;
  }

  get feeds(): ReadonlySet<Feed> {
    return this.#feeds;
  }

  /** Requests made so far. */
  get attempts(): number {
    return this.#attempts;
  }

  /** What it waits for, in words; undefined while bytes come. */
  get waitingFor(): string | undefined {
    const feeds = [...this.#feeds];
    if (feeds.some((feed) => !feed.asking)) return undefined;
    return this.#pause?.reason ?? `an answer from ${feeds[0]?.source.name ?? 'a source'}`;
  }

  start(): void {
    this.#look();
  }

  /** A reader sleeps on the byte at `offset`: perhaps it needs a range of its own. Mostly a feed is about to bring it. */
  wanted(offset: number): void {
    for (const feed of this.#feeds) {
      const distanceBytes = offset - feed.nextOffset;
      const isInIt = distanceBytes >= 0 && offset < (feed.end ?? Number.POSITIVE_INFINITY);
      if (isInIt && distanceBytes <= this.#options.plan.patienceBytes) return;
    }
    this.#look();
  }

  /** There is another source: a pause is for the sake of those that failed. */
  sourcesAdded(): void {
    if (this.#pause === undefined || this.#roster.next() === this.#lastFailed) return;
    this.#pause.timer.clear();
    this.#pause = undefined;
    this.#look();
  }

  /** Those who brought bytes of this body have a fault: it is wrong. */
  blame(error: AppError): void {
    for (const source of this.#contributors) {
      this.#roster.failed(source, error);
      source.discredit(error);
    }
  }

  /** Ends every transfer. `record`: notes what is there for a later fill. Rejects where that note cannot be written. */
  async stop(record: boolean): Promise<void> {
    this.#over = true;
    this.#pause?.timer.clear();
    this.#pause = undefined;
    this.#records.stop();
    for (const feed of this.#feeds) feed.stop();
    await Promise.all(this.#running);
    if (record) await this.#records.last();
    else await this.#records.idle();
  }

  /** A source answers (FeedListener). */
  opened(feed: Feed, answer: SourceBody): boolean {
    if (this.#over) return false;
    if (answer.start < feed.start) {
      // It does not serve ranges: one feed at a time, from the start, and only if that is the one we have.
      this.#maxFeeds = 1;
      this.#ignoresRanges = true;
      if (this.#feeds.size > 1) return false;
    }
    this.#contributors.add(feed.source);
    const saidBytes = answer.blobSizeBytes;
    const knownBytes = this.#body.sizeBytes;
    if (saidBytes === undefined) return true;
    if (saidBytes === knownBytes) {
      this.#body.setSize(saidBytes);
      return true;
    }
    if (knownBytes === undefined && saidBytes >= this.#body.filled.end) {
      this.#body.setSize(saidBytes);
      this.#host.progressed();
      return true;
    }
    const expected = knownBytes ?? `at least ${this.#body.filled.end}`;
    const message = `${feed.source.origin} has ${saidBytes} bytes where ${expected} were expected`;
    this.#contradict(new AppError('CONTENT_MISMATCH', message), saidBytes);
    return false;
  }

  /** Bytes are on disk (FeedListener). */
  wrote(feed: Feed, offset: number, end: number): void {
    this.#failuresInRow = 0;
    this.#records.wrote(end - offset);
    for (const other of this.#feeds) {
      // It has brought what another one would bring next: that one has nothing to do here any more.
      if (other !== feed && other.nextOffset >= offset && other.nextOffset < end) other.stop();
    }
    this.#host.progressed();
    // Rates change: a reader that was worth no range of its own may be later.
    const planIsOld = this.#clock.monotonic() - this.#plannedAtMs > replanAfterMs;
    if (planIsOld || this.#body.complete) this.#look();
  }

  received(bytes: number): void {
    this.#host.received(bytes);
  }

  /** For a fair turn at the source (FeedListener). */
  urgency(): Urgency {
    const { sizeBytes, filled } = this.#body;
    const missingBytes = sizeBytes === undefined ? undefined : sizeBytes - filled.bytes;
    return { waiters: this.#host.waiters, missingBytes };
  }

  /** A write of another feed is under way in between (FeedListener). */
  writtenByOthers(feed: Feed, start: number, end: number): Promise<void> | undefined {
    for (const other of this.#feeds) {
      const writing = other === feed ? undefined : other.writing(start, end);
      if (writing !== undefined) return writing;
    }
    return undefined;
  }

  /** Decides from what is there what comes next. */
  #look(): void {
    if (this.#over) return;
    if (this.#body.complete) {
      this.#over = true;
      this.#host.completed();
    } else if (this.#pause === undefined) {
      this.#plan();
    }
  }

  #plan(): void {
    this.#plannedAtMs = this.#clock.monotonic();
    for (;;) {
      const range = planRange({
        sizeBytes: this.#body.sizeBytes,
        filled: this.#body.filled,
        feeds: [...this.#feeds],
        wants: this.#host.wants(this.#body),
        maxFeeds: this.#maxFeeds,
        limits: this.#options.plan,
      });
      const source = range === undefined ? undefined : this.#roster.next();
      if (range === undefined || source === undefined) return;
      if (this.#feeds.size > 0) this.#host.noted('range-opened', source, undefined);
      const deps = { body: this.#body, listener: this, clock: this.#clock };
      const asked = this.#ignoresRanges ? { start: range.start, end: undefined } : range;
      this.#run(new Feed(deps, source, asked, this.#options));
    }
  }

  #run(feed: Feed): void {
    this.#feeds.add(feed);
    this.#attempts++;
    const run = this.#records
      .begin(feed.start)
      .then(() => feed.run())
      .catch((error): FeedOutcome => ({ kind: 'failed', error: asAppError(error) }))
      .then((outcome) => {
        this.#running.delete(run);
        this.#feeds.delete(feed);
        if (this.#over) return;
        if (outcome.kind === 'failed') this.#failed(feed, outcome.error);
        else this.#checkSize(feed);
        if (this.#over) return;
        this.#host.progressed();
        this.#look();
      });
    this.#running.add(run);
  }

  /** A body of unknown size has ended: perhaps before what came of it earlier. */
  #checkSize(feed: Feed): void {
    const { sizeBytes, filled } = this.#body;
    if (sizeBytes === undefined || filled.end <= sizeBytes) return;
    const message = `${feed.source.origin} ended after ${sizeBytes} bytes where ${filled.end} had come before`;
    this.#contradict(new AppError('CONTENT_MISMATCH', message), undefined);
  }

  #failed(feed: Feed, error: AppError): void {
    this.#host.noted('source-failed', feed.source, error);
    if (error.code === 'UPSTREAM_INVALID' && feed.start > 0 && this.#body.sizeBytes === undefined) {
      // There may be nothing at this start (416): what is there is all of it, or too much. Only the whole can tell.
      const message = `${feed.source.origin} has no more after ${feed.start} bytes, or does not say so`;
      return this.#contradict(new AppError('CONTENT_MISMATCH', message, { cause: error }), undefined);
    }
    if (error.code === 'STORAGE_FULL' || error.code === 'STORAGE_FAILED') return this.#giveUp(error);
    if (this.#feeds.size > 0 && this.#isOnlyThisRange(error)) {
      this.#maxFeeds = this.#feeds.size;
      return;
    }
    this.#roster.failed(feed.source, error);
    this.#lastFailed = feed.source;
    const delayMs = this.#delayAfter(feed.source, error);
    if (delayMs !== undefined) this.#pauseFor(delayMs, `another attempt after: ${error.message}`);
    else if (this.#feeds.size > 0) this.#maxFeeds = this.#feeds.size;
    else this.#giveUp(error);
  }

  /** Whatever the source dislikes about one more range, the ones that it serves are good. */
  #isOnlyThisRange(error: AppError): boolean {
    return !error.retryable || error.code === 'UPSTREAM_RATE_LIMITED' || ++this.#rangeFailures >= maxRangeFailures;
  }

  /** How long to wait before the next attempt, at this or another source; undefined: there is none. */
  #delayAfter(source: Source, error: AppError): number | undefined {
    const next = this.#roster.next();
    if (next === undefined) return undefined;
    this.#failuresInRow++;
    return this.#retry({
      retryable: error.retryable || next !== source,
      attempt: this.#failuresInRow,
      retryAfterMs: this.#roster.restMs(next) || undefined,
    });
  }

  #pauseFor(delayMs: number, reason: string): void {
    this.#pause?.timer.clear();
    const timer = this.#clock.after(delayMs, () => {
      this.#pause = undefined;
      this.#look();
    });
    this.#pause = { timer, reason };
  }

  #contradict(error: AppError, sizeBytes: number | undefined): void {
    this.#over = true;
    this.#host.contradicted(error, sizeBytes);
  }

  #giveUp(error: AppError): void {
    this.#over = true;
    this.#host.gaveUp(error);
  }
}
