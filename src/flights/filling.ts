import type { Clock } from '../core/clock.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { AskWatch } from './ask-watch.ts';
import { Feed, type FeedListener, type FeedOutcome } from './feed.ts';
import type { FillBody } from './fill-body.ts';
import type { FillingHost, FillingOptions } from './filling-host.ts';
import { type PlannedRange, planRange } from './range-planner.ts';
import { RecordKeeper } from './record-keeper.ts';
import { RetryPause } from './retry-pause.ts';
import { Setbacks } from './setbacks.ts';
import type { SizeBelief } from './size-belief.ts';
import type { RetryPolicy, Source, SourceBody, Urgency } from './source.ts';
import type { SourceRoster } from './source-roster.ts';
import { Splitting } from './splitting.ts';

export interface FillingDeps {
  readonly body: FillBody;
  readonly size: SizeBelief;
  readonly roster: SourceRoster;
  readonly host: FillingHost;
  readonly clock: Clock;
  readonly retry: RetryPolicy;
}

const replanAfterMs = 250;

/**
 * Brings the bytes of one body: plans ranges, runs a feed for each, and tries again where one fails.
 *
 * Invariants
 * - Feeds are opened by `#plan` alone, never while it pauses, never after it is over (complete, given up or stopped).
 * - While it is not over there is a feed, a pause, or all sources are held back (`FillShare`): whatever ends that looks for
 *   what comes next.
 * - A feed that fails beside others of its source only costs its range; otherwise the source has a fault, and another one
 *   or the same after a pause goes on at the first missing byte.
 * - After `stop` has resolved nothing writes to the body's storage any more.
 */
export class Filling implements FeedListener {
  readonly #body: FillBody;
  readonly #size: SizeBelief;
  readonly #roster: SourceRoster;
  readonly #host: FillingHost;
  readonly #clock: Clock;
  readonly #options: FillingOptions;
  readonly #records: RecordKeeper;
  readonly #pause: RetryPause;
  readonly #setbacks: Setbacks;
  readonly #asks: AskWatch;
  readonly #feeds = new Set<Feed>();
  readonly #running = new Set<Promise<void>>();
  readonly #contributors = new Set<Source>();
  #splitting: Splitting | undefined;
  #over = false;
  #plannedAtMs = 0;
  #attempts = 0;
  #peerAttempts = 0;

  constructor(deps: FillingDeps, options: FillingOptions) {
    const { body, size, roster, host, clock, retry } = deps;
    this.#body = body;
    this.#size = size;
    this.#roster = roster;
    this.#host = host;
    this.#clock = clock;
    this.#options = options;
    this.#records = new RecordKeeper(body, clock);
    const proceed = () => this.#look();
    this.#pause = new RetryPause({ clock, roster, retry, host, proceed }, options);
    const noted = (source: Source, error: AppError) => host.noted('source-failed', source, error);
    this.#setbacks = new Setbacks(
      { roster, pause: this.#pause, feeds: this.#feeds, splitting: () => this.#splitting, noted },
      { maxFeeds: options.maxRanges, leastRangeBytes: options.plan.leastRangeBytes },
    );
    const leave = (feed: Feed, error: AppError) => this.#setbacks.left(feed, error);
    this.#asks = new AskWatch({ clock, roster, feeds: this.#feeds, leave });
    const maxSplit = Math.min(options.maxSplit, options.maxRanges);
    if (maxSplit > 1 && this.#missingBytes >= options.split.fromBytes) {
      this.#splitting = new Splitting(clock, maxSplit, options.split);
    }
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

  /** Of these, those to other nodes. */
  get peerAttempts(): number {
    return this.#peerAttempts;
  }

  /** Those whose bytes are in the body. */
  get contributors(): readonly Source[] {
    return [...this.#contributors];
  }

  /** What it waits for, in words; undefined while bytes come. */
  get waitingFor(): string | undefined {
    const [first] = this.#feeds;
    for (const feed of this.#feeds) if (!feed.asking) return undefined;
    return this.#pause.reason ?? first?.waitingFor ?? 'a source';
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

  /** Somebody joined, perhaps with another source, or others may be asked now than before: a pause is for the sake of those that failed, and of who can wait. */
  joined(): void {
    if (this.#over) return;
    this.#asks.start();
    if (!this.#pause.isOn) {
      if (this.#feeds.size === 0) this.#look();
      return;
    }
    const next = this.#pause.reconsider();
    if (next === 'never' && this.#feeds.size === 0) this.#giveUp();
    else if (next !== 'later') this.#look();
  }

  /** The body is wrong: those whose bytes are in it have a fault. */
  discredit(error: AppError): void {
    const isAllTheirs = this.#body.storage.resumed.filled.length === 0;
    this.#roster.broughtWrong(this.#contributors, error, isAllTheirs);
    for (const source of this.#contributors) source.discredit(error);
  }

  /** Ends every transfer. `record`: notes what is there for a later fill. Rejects where that note cannot be written. */
  async stop(record: boolean): Promise<void> {
    this.#over = true;
    this.#pause.clear();
    this.#asks.stop();
    this.#records.stop();
    for (const feed of this.#feeds) feed.stop();
    await Promise.all(this.#running);
    if (record) await this.#records.last();
    else await this.#records.idle();
  }

  // --- what feeds tell (FeedListener) --------------------------------------------------------------------------------

  opened(feed: Feed, answer: SourceBody): boolean {
    if (this.#over) return false;
    const isRange = answer.start === feed.start && (answer.isWhole !== true || feed.end === undefined);
    this.#checkSize(feed, answer.blobSizeBytes);
    return !this.#over && (isRange || this.#takesWhole(feed));
  }

  began(feed: Feed): void {
    this.#splitting?.began(feed.firstByteMs);
  }

  wrote(feed: Feed, offset: number, end: number): void {
    this.#contributors.add(feed.source);
    this.#pause.progressed();
    this.#records.wrote(end - offset);
    for (const other of this.#feeds) {
      // It has brought what another one would bring next: that one has nothing to do here any more.
      if (other !== feed && other.nextOffset >= offset && other.nextOffset < end) other.stop();
    }
    this.#host.progressed();
    // Rates change: a reader that was worth no range of its own may be later.
    const planIsOld = this.#clock.monotonic() - this.#plannedAtMs > replanAfterMs;
    if (planIsOld || this.#body.complete || this.#isTimeToShare(feed)) this.#look();
  }

  received(bytes: number, source: Source): void {
    this.#splitting?.received(bytes);
    this.#host.received(bytes, source);
  }

  paced(feed: Feed, isSlow: boolean): boolean {
    return this.#roster.paced(feed.source, isSlow);
  }

  hasAlternative({ source }: Feed): boolean {
    return this.#roster.alternativeTo(source) !== undefined;
  }

  urgency(): Urgency {
    const missingBytes = this.#body.sizeBytes === undefined ? undefined : this.#missingBytes;
    return { waiters: this.#host.waiters, missingBytes };
  }

  writtenByOthers(feed: Feed, start: number, end: number): Promise<void> | undefined {
    for (const other of this.#feeds) {
      const writing = other === feed ? undefined : other.writing(start, end);
      if (writing !== undefined) return writing;
    }
    return undefined;
  }

  /** It does not serve ranges: it brings everything alone, unless others bring already what it would bring again. */
  #takesWhole(feed: Feed): boolean {
    this.#roster.ignoredRange(feed.source);
    this.#splitting = undefined;
    const others = [...this.#feeds].filter((other) => other !== feed);
    if (others.some((other) => !other.asking)) return false;
    for (const other of others) other.stop();
    return true;
  }

  /** Throws where the source is at fault. Where it may be right the filling ends: the body is of a wrong size. */
  #checkSize(feed: Feed, saidBytes: number | undefined): void {
    if (saidBytes === undefined) return;
    const knownBytes = this.#body.sizeBytes;
    if (this.#body.acceptSize(saidBytes)) {
      this.#size.agreed(saidBytes);
      if (knownBytes === undefined) this.#host.progressed();
      return;
    }
    const expected = knownBytes ?? `at least ${this.#body.filled.end}`;
    const message = `${feed.source.origin} has ${saidBytes} bytes where ${expected} were expected`;
    const error = new AppError('CONTENT_MISMATCH', message);
    if (!this.#size.disputed(saidBytes, this.#body)) throw error;
    this.#host.noted('source-failed', feed.source, error);
    this.#contradict(error);
  }

  // --- what comes next -----------------------------------------------------------------------------------------------

  get #missingBytes(): number {
    return (this.#body.sizeBytes ?? 0) - this.#body.filled.bytes;
  }

  #hasRoom = (): boolean => !this.#host.isPassedOn && this.#roster.next()?.standing().hasRoom === true;

  /** Whether one more connection may be worth opening, now that `feed` has come so far. */
  #isTimeToShare(feed: Feed): boolean {
    const splitting = this.#splitting;
    if (splitting === undefined) return false;
    return splitting.measure(this.#feeds, this.#missingBytes, this.#hasRoom) || feed.isEnding;
  }

  /** Decides from what is there what comes next. */
  #look(): void {
    if (this.#over) return;
    if (this.#body.complete) {
      this.#over = true;
      this.#host.completed();
    } else if (!this.#pause.isOn) {
      this.#plan();
    }
  }

  #plan(): void {
    this.#plannedAtMs = this.#clock.monotonic();
    for (;;) {
      const range = this.#nextRange();
      const source = range === undefined ? undefined : this.#whomToAsk(range);
      if (range === undefined || source === undefined) return;
      if (this.#feeds.size > 0) this.#host.noted('range-opened', source, undefined);
      const failure = this.#setbacks.take();
      if (failure !== undefined) this.#host.retried(source, failure.source, failure.error);
      const deps = { body: this.#body, listener: this, clock: this.#clock };
      const isWhole = this.#roster.ignoresRanges(source);
      const asked = isWhole ? { start: range.start, end: undefined, optional: false } : range;
      this.#run(new Feed(deps, source, asked, this.#options));
    }
  }

  #nextRange(): PlannedRange | undefined {
    // One that sends the whole blob brings all that is missing, and whatever else came would come again.
    for (const feed of this.#feeds) if (this.#roster.ignoresRanges(feed.source)) return undefined;
    const { sizeBytes, filled } = this.#body;
    const { maxFeeds } = this.#setbacks;
    const { plan: limits } = this.#options;
    const splitting = sizeBytes === undefined ? undefined : this.#splitting;
    const split = splitting?.plan(this.#feeds, this.#missingBytes, this.#hasRoom);
    const wants = this.#host.wants(this.#body);
    return planRange({ sizeBytes, filled, feeds: [...this.#feeds], wants, maxFeeds, limits, split });
  }

  /** The source for a range; undefined: none, for now or (then it has given up) at all. */
  #whomToAsk(range: PlannedRange): Source | undefined {
    const isAlone = this.#feeds.size === 0;
    for (;;) {
      const source = this.#roster.next();
      if (source !== undefined) {
        if (range.optional && !source.standing().hasRoom) return undefined;
        if (!isAlone && this.#roster.ignoresRanges(source)) return undefined;
        if (this.#roster.restMs(source) === 0) return source;
        // All rest. One that has not told us why is asked: it says so at once.
        if (isAlone && !this.#roster.hasFailed(source)) return source;
      }
      const next = isAlone ? this.#pause.rest() : 'later';
      if (next === 'never') this.#giveUp();
      if (next !== 'now') return undefined;
    }
  }

  #run(feed: Feed): void {
    this.#feeds.add(feed);
    this.#splitting?.feedsChanged();
    this.#attempts++;
    if (feed.source.isPeer === true) this.#peerAttempts++;
    this.#asks.start();
    const run = this.#records
      .begin(feed.start)
      .then(() => feed.run())
      .catch((error): FeedOutcome => ({ kind: 'failed', error: asAppError(error) }))
      .then((outcome) => {
        this.#running.delete(run);
        this.#feeds.delete(feed);
        this.#splitting?.feedsChanged();
        if (!this.#over) this.#ended(feed, outcome);
        if (this.#over) return;
        this.#host.progressed();
        this.#look();
      });
    this.#running.add(run);
  }

  // --- failures ------------------------------------------------------------------------------------------------------

  #ended(feed: Feed, outcome: FeedOutcome): void {
    if (outcome.kind === 'failed') return this.#failed(feed, outcome.error);
    if (outcome.kind === 'slow') return this.#setbacks.fault(feed.source, outcome.error);
    if (outcome.kind === 'met') this.#setbacks.met();
    // A body of unknown size has ended: perhaps before what came of it earlier.
    const { sizeBytes, filled } = this.#body;
    if (sizeBytes === undefined || filled.end <= sizeBytes) return;
    const message = `${feed.source.origin} ended after ${sizeBytes} bytes where ${filled.end} had come before`;
    this.#contradict(new AppError('CONTENT_MISMATCH', message));
  }

  #failed(feed: Feed, error: AppError): void {
    if (error.code === 'UPSTREAM_INVALID' && feed.start > 0) return this.#hasNoMore(feed, error);
    if (error.code === 'STORAGE_FULL' || error.code === 'STORAGE_FAILED') return this.#giveUp(error);
    this.#suffered(feed, error);
  }

  #suffered(feed: Feed, error: AppError): void {
    if (!this.#setbacks.failed(feed, error)) this.#giveUp();
  }

  /**
   * There may be nothing at this start (416). Then what is there may be all of it, which only the digest can tell; where a
   * manifest claims more, it is one source's word.
   */
  #hasNoMore(feed: Feed, cause: AppError): void {
    const { filled, sizeBytes } = this.#body;
    const isAllThere = this.#feeds.size === 0 && filled.bytes === feed.start && filled.endFrom(0) === feed.start;
    const isClaimed = sizeBytes !== undefined && sizeBytes === this.#size.claimedBytes;
    if (isClaimed && !isAllThere) return this.#suffered(feed, cause);
    const message = `${feed.source.origin} has no more after ${feed.start} bytes, or does not say so`;
    const error = new AppError('CONTENT_MISMATCH', message, { cause });
    if (isClaimed && !this.#size.disputed(feed.start, this.#body)) return this.#suffered(feed, error);
    this.#host.noted('source-failed', feed.source, cause);
    if (isAllThere && !isClaimed) this.#body.setSize(feed.start);
    else this.#contradict(error);
  }

  #contradict(error: AppError): void {
    this.#over = true;
    for (const source of this.#contributors) this.#roster.failed(source, error);
    this.#host.contradicted(error);
  }

  #giveUp(error?: AppError): void {
    this.#over = true;
    this.#host.gaveUp(error ?? this.#roster.verdict());
  }
}
