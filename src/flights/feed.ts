import type { Clock } from '../core/clock.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { FeedWriter, type FeedWriterHost } from './feed-writer.ts';
import type { FillBody } from './fill-body.ts';
import type { PlanLimits, PlannedFeed, PlannedRange } from './range-planner.ts';
import { RateMeter } from './rate-meter.ts';
import type { Source, SourceBody, Urgency } from './source.ts';
import { type TransferLimits, TransferWatch } from './transfer-watch.ts';

/** How a feed ended. */
export type FeedOutcome =
  /** It has nothing more to do: it reached its end, or bytes that are already there. */
  | { readonly kind: 'met' }
  /** The flight stopped it. */
  | { readonly kind: 'stopped' }
  /** It was too slow, and another connection is worth a try. */
  | { readonly kind: 'slow'; readonly error: AppError }
  | { readonly kind: 'failed'; readonly error: AppError };

export interface FeedOptions extends TransferLimits {
  readonly plan: PlanLimits;
}

/** What a feed tells its flight. Calls are synchronous. */
export interface FeedListener {
  /** The source answers. Returns false to have the feed end ('stopped') without reading the body; throws to have it fail. */
  opened(feed: Feed, answer: SourceBody): boolean;
  /** The first byte came. */
  began(feed: Feed): void;
  /** Bytes were written; readers may go on. */
  wrote(feed: Feed, offset: number, end: number): void;
  /** Bytes came from the source, wanted or not. */
  received(bytes: number, source: Source): void;
  /** It was waited for through a whole stall window, and was too slow or not. Returns true to have the feed end ('slow'). */
  paced(feed: Feed, isSlow: boolean): boolean;
  urgency(): Urgency;
  /** Whether another source could be asked instead now. */
  hasAlternative(feed: Feed): boolean;
  /** Resolves when another feed has written what it is writing between `start` and `end`; undefined where none is. */
  writtenByOthers(feed: Feed, start: number, end: number): Promise<void> | undefined;
}

/** What follows a range is asked for so much earlier than its first byte will take to come. */
const followMarginMs = 50;
/**
 * One request to one source, filling one range of one body.
 *
 * Invariants
 * - Of what comes only what is missing goes to the storage (`FeedWriter`). So what was hashed stays as it is, whatever a
 *   second source says it should be.
 * - All that came before the source ended or broke off is written before the feed ends.
 * - When `run` has resolved nothing of this feed writes any more: a write under way at a stop is waited for, whatever the
 *   source still does is ignored.
 * - A source that never settles cannot hold `run`: a stop or a stall ends it.
 */
export class Feed implements PlannedFeed, FeedWriterHost {
  readonly source: Source;
  readonly start: number;
  /** It was opened beside others that bring the blob already, to be faster. */
  readonly optional: boolean;
  readonly #body: FillBody;
  readonly #listener: FeedListener;
  readonly #options: FeedOptions;
  readonly #abort = new AbortController();
  readonly #meter: RateMeter;
  readonly #watch: TransferWatch;
  readonly #ended: PromiseWithResolvers<FeedOutcome> = Promise.withResolvers();
  #askedEnd: number | undefined;
  #end: number | undefined;
  #waitingFor: string | undefined;
  #servesRanges = true;
  readonly #writer: FeedWriter;
  #over = false;

  constructor(
    deps: { body: FillBody; listener: FeedListener; clock: Clock },
    source: Source,
    range: PlannedRange,
    options: FeedOptions,
  ) {
    this.#body = deps.body;
    this.#listener = deps.listener;
    this.#meter = new RateMeter(deps.clock);
    this.#watch = new TransferWatch(deps.clock, limitsFor(source, options), source.origin, {
      silent: (error) => this.#finish({ kind: 'failed', error }),
      paced: (error) => {
        const isOver = this.#listener.paced(this, error !== undefined);
        if (isOver && error !== undefined) this.#finish({ kind: 'slow', error });
      },
    });
    this.#options = options;
    this.source = source;
    this.optional = range.optional;
    this.start = range.start;
    this.#askedEnd = range.end;
    this.#end = range.end;
    this.#writer = new FeedWriter(deps.body, this, range.start);
  }

  /** Where it stops at the latest (excluded); undefined: with the blob. */
  get end(): number | undefined {
    return this.#end;
  }

  /** The next byte it will bring. */
  get nextOffset(): number {
    return Math.max(this.#writer.position, this.start);
  }

  get bytesPerSecond(): number {
    return this.#meter.bytesPerSecond;
  }

  /** As far as is known by its present transfer alone: a few chunks are enough. */
  get averageBytesPerSecond(): number {
    return this.#watch.averageBytesPerSecond;
  }

  /** No byte of the body has come yet. */
  get asking(): boolean {
    return this.#watch.isAsking;
  }

  /** From the request to the first byte, without a wait for a turn; so far, while it asks. */
  get firstByteMs(): number {
    return this.#watch.firstByteMs;
  }

  /** Bytes that came, wanted or not. */
  get receivedBytes(): number {
    return this.#watch.bytes;
  }

  /** What it waits for before its source answers, in words. */
  get waitingFor(): string {
    return this.#waitingFor ?? `an answer from ${this.source.name}`;
  }

  get isEnding(): boolean {
    if (this.asking || this.#end === undefined) return false;
    const leftMs = ((this.#end - this.nextOffset) * 1000) / this.averageBytesPerSecond;
    return leftMs <= this.firstByteMs + followMarginMs;
  }

  async run(): Promise<FeedOutcome> {
    if (this.#over) return { kind: 'stopped' };
    this.#watch.start();
    this.#read().then(
      () => this.#finish({ kind: 'met' }),
      (error) => this.#finish({ kind: 'failed', error: asAppError(error) }),
    );
    const outcome = await this.#ended.promise;
    await this.#writer.stopped();
    return outcome;
  }

  /** Ends the feed: `run` resolves with 'stopped', the transfer is aborted. */
  stop(): void {
    this.#finish({ kind: 'stopped' });
  }

  /** What is not wanted is not read. Throws where the answer cannot be right. */
  #isWanted(answer: SourceBody): boolean {
    let isWanted = false;
    try {
      isWanted = !this.#over && this.#listener.opened(this, answer);
    } finally {
      if (!isWanted) void discard(answer);
    }
    return isWanted;
  }

  #finish(outcome: FeedOutcome): void {
    if (this.#over) return;
    this.#over = true;
    this.#watch.stop();
    this.#writer.stop();
    this.#abort.abort(new AppError('CANCELLED', 'the fill does not need this transfer any more'));
    this.#ended.resolve(outcome);
  }

  async #read(): Promise<void> {
    const { start, end, optional } = this;
    const urgency = () => this.#listener.urgency();
    const hasAlternative = () => this.#listener.hasAlternative(this);
    const waiting = (reason: string | undefined) => {
      this.#waitingFor = reason;
      if (reason === undefined) this.#watch.asked();
    };
    const request = { start, end, optional, urgency, hasAlternative, waiting };
    const answer = await this.source.open(request, this.#abort.signal);
    if (!this.#isWanted(answer)) return this.stop();
    const giveBackLent = answer.lend?.();
    this.#writer.begin(answer.start, giveBackLent && ((chunk) => giveBackLent(chunk.length)));
    if (answer.start < this.start || answer.isWhole === true) {
      // What comes is the whole blob, and any more of it would cost the same way again.
      this.#servesRanges = false;
      this.#end = undefined;
    }
    if (answer.isWhole === true) this.#askedEnd = undefined;
    this.#watch.waits();
    try {
      await this.#readAll(answer);
    } finally {
      // What came before the source broke off is there as well: it must not come twice (P1).
      await this.#writer.drained();
    }
    if (!this.#over) this.#checkEnd(answer);
  }

  async #readAll(answer: SourceBody): Promise<void> {
    for await (const chunk of answer.chunks) {
      if (this.#over) return;
      this.#took(chunk.length);
      this.#writer.add(chunk);
      if (this.#writer.cameTo >= this.limit) await this.#writer.drained();
      else if (this.#writer.isFull) await this.#writer.untilRoom();
      if (this.#over) return;
    }
  }

  #took(bytes: number): void {
    const isFirst = this.asking;
    this.#watch.brought(bytes);
    this.#meter.add(bytes);
    this.#listener.received(bytes, this.source);
    if (isFirst) this.#listener.began(this);
  }

  /** Resolves when what is being written between `start` and `end` is; undefined where nothing is. */
  writing(start: number, end: number): Promise<void> | undefined {
    return this.#writer.writing(start, end);
  }

  // --- what its writer tells and asks (FeedWriterHost) ----------------------------------------------------------------

  get limit(): number {
    return this.end ?? this.#body.sizeBytes ?? Number.POSITIVE_INFINITY;
  }

  writtenByOthers(start: number, end: number): Promise<void> | undefined {
    return this.#listener.writtenByOthers(this, start, end);
  }

  wrote(offset: number, end: number): void {
    this.#listener.wrote(this, offset, end);
  }

  reached(): void {
    if (this.#hasMet()) this.#finish({ kind: 'met' });
  }

  /** From now on the source is waited for: what our disk takes is not its fault. */
  idle(): void {
    this.#watch.waits();
  }

  failed(error: unknown): void {
    this.#finish({ kind: 'failed', error: asAppError(error) });
  }

  /** Whether the rest of the range is there already, or so much of it that reading through would cost more. */
  #hasMet(): boolean {
    // What comes before the start is there, or else passing by: that there is much of it is no reason to stop.
    const position = this.nextOffset;
    const end = this.end ?? this.#body.sizeBytes;
    if (end !== undefined && position >= end) return true;
    const there = this.#body.filled.endFrom(position);
    if (there === position) return false;
    return there === end || (this.#servesRanges && there - position > this.#options.plan.readThroughBytes);
  }

  /** The source has ended its body without an error. */
  #checkEnd(answer: SourceBody): void {
    const end = this.#askedEnd ?? this.#body.sizeBytes;
    if (end === undefined && answer.blobSizeBytes === undefined) {
      // Nobody said how long it is: then it ends here, and the digest tells whether that is so.
      this.#body.setSize(this.#writer.position);
      return;
    }
    if (end !== undefined && this.#writer.position < end) {
      const missingBytes = end - this.#writer.position;
      throw new AppError('UPSTREAM_INTERRUPTED', `${this.source.origin} ended ${missingBytes} bytes too early`);
    }
  }
}

/**
 * Another node waits for upstream itself, and does something about it when that stalls: only then it is its turn to be doubted.
 * One that is gone is known to be so by other means.
 */
function limitsFor({ isPeer }: Source, options: FeedOptions): TransferLimits {
  return isPeer === true ? { ...options, stallTimeoutMs: 2 * options.stallTimeoutMs } : options;
}

/** Ends a transfer whose body nobody reads. */
async function discard(answer: SourceBody): Promise<void> {
  try {
    await answer.chunks[Symbol.asyncIterator]().return?.();
  } catch {
    // It is over, however it ended.
  }
}
