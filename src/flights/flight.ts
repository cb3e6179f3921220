import type { Interval } from '../core/byte-range.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { AppError, asAppError } from '../core/errors.ts';
import { formatDuration } from '../core/units.ts';
import type { Channels, FlightEvent as PublishedEvent } from '../telemetry/channels.ts';
import type { FillBody } from './fill-body.ts';
import type { FillShare, FillShareHost, FillSharing } from './fill-share.ts';
import { Filling } from './filling.ts';
import type { FillingHost, FillingOptions, Want } from './filling-host.ts';
import { FlightReader, type ReaderHost } from './flight-reader.ts';
import { type FlightSnapshot, shownState } from './flight-snapshot.ts';
import { type FlightEvent, type FlightState, isFinal, isOpenEnded, nextState } from './flight-state.ts';
import { type OpenBodyDeps, type OpenBodyOptions, openBody } from './open-body.ts';
import { RateMeter } from './rate-meter.ts';
import { SizeBelief } from './size-belief.ts';
import type { RetryPolicy, Source } from './source.ts';
import { sourceAccount } from './source-account.ts';
import { SourceRoster } from './source-roster.ts';

export interface FlightDeps extends OpenBodyDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly retry: RetryPolicy;
  /** Other nodes that want the same blobs. Left out: there are none. */
  readonly sharing?: FillSharing | undefined;
}

export interface FlightOptions extends FillingOptions, OpenBodyOptions {
  /** A whole fill may take so long. */
  readonly deadlineMs: number;
  /** Bodies with a wrong digest or size that are thrown away before the flight gives up. */
  readonly maxBadBodies: number;
  /** What happens when the last reader leaves: go on, or stop and keep or discard what is there. */
  readonly abandon: 'finish' | 'keep' | 'discard';
}

/**
 * One node's fill of one blob: it reads from sources, at most one at a time per byte, and any number of readers follow.
 *
 * Invariants
 * - Everything here runs on one thread, to completion, between two awaits: an event (a chunk was written, a feed ended, a
 *   reader came or left, a timer fired) changes state, and what follows is decided from the state alone.
 * - `#state` moves only by `nextState`. In a final state there are no feeds, no timers and no sleeping readers.
 * - `settled` resolves when nothing of this flight touches the storage any more, except readers that hold it. Only then may
 *   another flight for the digest begin (the table sees to it).
 * - Readers never wait for each other, nor sources for readers: a reader reads the storage on its own.
 *
 * Who may leave or die: a reader at any time (its `close`); a source at any time (its feed fails, another is opened at the
 * first missing byte); the process at any time (the storage's record lets a later flight go on). The storage may fail: then
 * the flight fails, and says so to every reader.
 */
export class Flight implements FillingHost, ReaderHost, FillShareHost {
  readonly digest: Digest;
  readonly settled: Promise<void>;
  /** Resolves if it ends without the content, readers or none. Wrong bodies that it makes good, and parking, are no such end. */
  readonly failed: Promise<AppError>;
  readonly #deps: FlightDeps;
  readonly #options: FlightOptions;
  readonly #size: SizeBelief;
  readonly #startedAtMs: number;
  readonly #startedMs: number;
  readonly #roster: SourceRoster;
  readonly #share: FillShare | undefined;
  readonly #readers = new Set<FlightReader>();
  readonly #meter: RateMeter;
  readonly #deadline: Timer;
  readonly #settle: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #failure: PromiseWithResolvers<AppError> = Promise.withResolvers();
  #state: FlightState = { phase: 'opening' };
  /** Brings the bytes of the present body, or brought them. */
  #filling: Filling | undefined;
  /** The opening under way, with the closing of the body before it. */
  #opening: Promise<void> | undefined;
  #denial: AppError | undefined;
  #opens = 0;
  #badBodies = 0;
  #receivedBytes = 0;
  #peerBytes = 0;
  #earlierPeerAttempts = 0;
  #earlierAttempts = 0;
  #readersEver = 0;
  /** Of one that ended without the content: what it left on disk. */
  #leftBytes = 0;

  constructor(deps: FlightDeps, options: FlightOptions, digest: Digest, claimedSizeBytes: number | undefined) {
    this.#deps = deps;
    this.#options = options;
    this.digest = digest;
    this.#size = new SizeBelief(deps.clock, claimedSizeBytes);
    this.#startedAtMs = deps.clock.now();
    this.#startedMs = deps.clock.monotonic();
    this.#meter = new RateMeter(deps.clock);
    this.#share = deps.sharing?.share(digest);
    this.#roster = new SourceRoster(deps.clock, this.#share);
    this.settled = this.#settle.promise;
    this.failed = this.#failure.promise;
    this.#deadline = deps.clock.after(options.deadlineMs, () => {
      const message = `the pull took longer than ${formatDuration(options.deadlineMs)}`;
      this.#fail(new AppError('PULL_DEADLINE', message));
    });
    this.#publish('started');
    this.#open();
  }

  /** Whether nobody can join any more: the content is in the store, or will not come by this flight. */
  get over(): boolean {
    return isFinal(this.#state);
  }

  /** The body that readers may read from now. */
  get body(): FillBody | undefined {
    return 'body' in this.#state ? this.#state.body : undefined;
  }

  /** Why there will be no body, once that is so. */
  get error(): AppError | undefined {
    return 'error' in this.#state ? this.#state.error : undefined;
  }

  // --- readers -----------------------------------------------------------------------------------------------------

  /** Adds a reader, and where the content can be had on that reader's behalf. Only while the flight is not over. */
  join(sources: readonly Source[], range: Interval | undefined): FlightReader {
    for (const source of sources) this.#roster.add(source);
    const nowMs = this.#deps.clock.monotonic();
    const reader = new FlightReader(this, this.sizeBytes, range, nowMs);
    this.#readers.add(reader);
    this.#readersEver++;
    if (this.body?.verified === true) reader.readOf(this.body);
    if (this.#state.phase === 'filling') this.#filling?.joined();
    return reader;
  }

  /** What is verified stays open for every reader of this flight, whenever it begins to read. */
  #keepOpen(): void {
    const { body } = this;
    if (body?.verified === true) for (const reader of this.#readers) reader.readOf(body);
  }

  /** A reader sleeps on the byte at `offset` (ReaderHost). */
  wanted(offset: number): void {
    if (this.#state.phase === 'filling') this.#filling?.wanted(offset);
  }

  /** A reader is closed (ReaderHost). */
  leave(reader: FlightReader): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    if (this.#options.abandon === 'finish') return;
    this.park(new AppError('CANCELLED', 'every client left'), this.#options.abandon === 'discard');
  }

  /** Stops the fill where it may be stopped; what is there stays for a later one unless `discard`. */
  park(error: AppError, discard = false): void {
    if (!isOpenEnded(this.#state)) return;
    const body = this.body;
    this.#move({ type: 'abandoned', error });
    this.#ended('parked', error, body, discard);
    void this.#end(body, discard);
  }

  // --- opening -----------------------------------------------------------------------------------------------------

  /** Opens a body once `before` is over. The flight may end meanwhile: then what was opened is closed again. */
  #open(before: Promise<void> = Promise.resolve()): void {
    this.#opening = before
      .then(() => (this.over ? undefined : openBody(this.#deps, this.digest, this.#size.sizeBytes, this.#options)))
      .then(
        (body) => (body === undefined ? undefined : this.#opened(body)),
        (error) => this.#fail(asAppError(error)),
      );
  }

  async #opened(body: FillBody): Promise<void> {
    if (this.#state.phase !== 'opening') return this.#closeBody(body, false);
    if (body.verified) {
      this.#move({ type: 'found', body });
      return this.#end(body, false);
    }
    if (body.filled.bytes > 0) this.#publish('resumed');
    const { clock, retry } = this.#deps;
    this.#earlierAttempts += this.#filling?.attempts ?? 0;
    this.#earlierPeerAttempts += this.#filling?.peerAttempts ?? 0;
    this.#filling = new Filling(
      { body, size: this.#size, roster: this.#roster, host: this, clock, retry },
      this.#options,
    );
    const isFirst = this.#opens++ === 0;
    this.#move({ type: 'opened', body });
    if (isFirst) this.#share?.start(this);
    this.#filling.start();
  }

  /** Moves the state and lets the readers look at it. */
  #move(event: FlightEvent): void {
    const { body } = this;
    this.#state = nextState(this.#state, event);
    if (this.error !== undefined) body?.markOver();
    this.#keepOpen();
    this.progressed();
  }

  // --- filling (FillingHost) ---------------------------------------------------------------------------------------

  wants(body: FillBody): Want[] {
    const wants: Want[] = [];
    for (const reader of this.#readers) {
      const from = reader.missing(body);
      if (from !== undefined) wants.push({ from, to: reader.end });
    }
    return wants;
  }

  get waiters(): number {
    return this.#readers.size;
  }

  get isPassedOn(): boolean {
    for (const reader of this.#readers) if (reader.passesOn) return true;
    return false;
  }

  /** Until a reader has its first byte the client must be told in time why there is none. */
  get patienceMs(): number {
    const nowMs = this.#deps.clock.monotonic();
    let firstJoinedMs = Number.POSITIVE_INFINITY;
    for (const reader of this.#readers) {
      if (!reader.hasBegun) firstJoinedMs = Math.min(firstJoinedMs, reader.joinedAtMs);
    }
    return Math.min(this.#leftMs, this.#options.headerPatienceMs + firstJoinedMs - nowMs);
  }

  /** After that it can wait. */
  get bodyPatienceMs(): number | undefined {
    for (const reader of this.#readers) if (reader.hasBegun) return this.#leftMs;
    return undefined;
  }

  get #leftMs(): number {
    return this.#startedMs + this.#options.deadlineMs - this.#deps.clock.monotonic();
  }

  /** Whoever has had no byte is told so as soon as it looks (ReaderHost). */
  get denial(): AppError | undefined {
    return this.#denial;
  }

  denied(error: AppError | undefined): void {
    this.#denial = error;
    if (error !== undefined) this.progressed();
  }

  progressed(): void {
    for (const reader of this.#readers) reader.wake();
  }

  completed(): void {
    if (this.#state.phase !== 'filling') return;
    const { body } = this.#state;
    this.#move({ type: 'complete' });
    body.hashed().then(
      (digest) => {
        if (this.#state.phase !== 'verifying') return;
        if (digest === this.digest) return this.#matched(body);
        this.#size.discarded(body.sizeIsConfirmed);
        const error = new AppError('CONTENT_MISMATCH', `what ${this.#roster.origins} sent hashes to ${digest}`);
        this.#filling?.discredit(error);
        this.#startOver(body, error);
      },
      (error) => this.#fail(asAppError(error)),
    );
  }

  gaveUp(error: AppError): void {
    this.#fail(error);
  }

  contradicted(error: AppError): void {
    const body = this.body;
    if (body !== undefined && this.#state.phase === 'filling') this.#startOver(body, error);
  }

  received(bytes: number, source: Source): void {
    this.#receivedBytes += bytes;
    if (source.isPeer === true) this.#peerBytes += bytes;
    this.#meter.add(bytes);
  }

  noted(event: 'range-opened' | 'source-failed', source: Source, error: AppError | undefined): void {
    this.#publish(event, { sources: [source], error });
    if (error !== undefined && source.isPeer !== true) this.#share?.failed(error);
  }

  retried(source: Source, failed: Source, cause: AppError): void {
    const failover = source.name !== failed.name;
    this.#deps.channels.retry.publish({ upstream: source.origin, kind: 'blob', cause: cause.code, failover });
  }

  // --- other nodes (FillShareHost) ----------------------------------------------------------------------------------

  get prefixBytes(): number {
    return this.body?.filled.endFrom(0) ?? 0;
  }

  get filledBytes(): number {
    return this.body?.filled.bytes ?? 0;
  }

  get sizeBytes(): number | undefined {
    return this.body?.sizeBytes ?? this.#size.sizeBytes;
  }

  offer(source: Source): void {
    this.#roster.add(source);
    this.changed();
  }

  changed(): void {
    if (this.#state.phase === 'filling') this.#filling?.joined();
  }

  // --- verifying ---------------------------------------------------------------------------------------------------

  /**
   * The content is right: from here on readers get all of it. The commit goes on beside them; should it fail, they are not
   * affected, the content is just not kept.
   */
  #matched(body: FillBody): void {
    this.#deadline.clear();
    body.markVerified();
    this.#move({ type: 'matched' });
    this.#commit(body)
      .then(
        () => {
          this.#share?.end(true);
          this.#publish('done', { keptBytes: body.filled.bytes });
        },
        (error) => this.#publish('failed', { error: asAppError(error) }),
      )
      .then(() => {
        this.#move({ type: 'closed' });
        return this.#end(body, false);
      });
  }

  async #commit(body: FillBody): Promise<void> {
    await this.#filling?.stop(false);
    await body.storage.commit(body.filled.bytes);
  }

  /** The body is wrong: cut who has read of it, throw it away, and begin again while the budget lasts. */
  #startOver(body: FillBody, error: AppError): void {
    body.markBroken(error);
    this.#denial = undefined;
    this.#publish('discarded-body', { error });
    if (++this.#badBodies > this.#options.maxBadBodies) return this.#fail(error, true);
    this.#move({ type: 'mismatched' });
    this.#open(this.#closeBody(body, true));
  }

  // --- ending ------------------------------------------------------------------------------------------------------

  #fail(error: AppError, discard = false): void {
    if (!isOpenEnded(this.#state)) return;
    const body = this.body;
    this.#move({ type: 'failed', error });
    this.#failure.resolve(error);
    this.#ended('failed', error, body, discard);
    void this.#end(body, discard);
  }

  /** It has ended without the content. */
  #ended(event: 'failed' | 'parked', error: AppError, body: FillBody | undefined, discard: boolean): void {
    if (!discard && body?.view.kind === 'file') this.#leftBytes = body.filled.bytes;
    // Without a body nobody has looked at what an earlier fill may have left.
    const keptBytes = body === undefined && !discard ? undefined : this.#leftBytes;
    this.#publish(event, { error, body, keptBytes });
  }

  /** Leaves nothing behind but what readers hold. */
  async #end(body: FillBody | undefined, discard: boolean): Promise<void> {
    this.#deadline.clear();
    this.#share?.end(false);
    if (body !== undefined) await this.#closeBody(body, discard);
    else await this.#opening;
    this.#settle.resolve();
  }

  /** Never rejects: a storage that fails here has failed before, and its readers know. */
  async #closeBody(body: FillBody, discard: boolean): Promise<void> {
    try {
      if (this.#filling?.body === body) await this.#filling.stop(!discard && !body.verified);
      await body.end();
      if (discard) await body.storage.discard();
    } catch (error) {
      this.#deps.channels.notice.publish({ level: 'warn', message: 'a fill did not end cleanly', error });
    }
    await body.storage.close().catch((error) => {
      this.#deps.channels.notice.publish({ level: 'warn', message: 'a fill did not close', error });
    });
  }

  // --- in plain sight ----------------------------------------------------------------------------------------------

  snapshot(): FlightSnapshot {
    const feeds = [...(this.#filling?.feeds ?? [])];
    const waitingFor = this.#waitingFor();
    return {
      digest: this.digest,
      state: waitingFor === undefined ? shownState(this.#state) : 'waiting',
      waitingFor,
      sizeBytes: this.sizeBytes,
      filledBytes: this.body?.filled.bytes ?? this.#leftBytes,
      notKept: undefined,
      ranges: feeds.map(({ source, start, nextOffset }) => ({ source: source.name, start, nextOffset })),
      waiters: this.#readers.size,
      sources: this.#roster.names,
      receivedBytes: this.#receivedBytes,
      peerBytes: this.#peerBytes,
      rateBytesPerSecond: this.#meter.bytesPerSecond,
      attempts: this.#earlierAttempts + (this.#filling?.attempts ?? 0),
      peerAttempts: this.#earlierPeerAttempts + (this.#filling?.peerAttempts ?? 0),
      startedAtMs: this.#startedAtMs,
      ageMs: Math.round(this.#deps.clock.monotonic() - this.#startedMs),
      error: this.error?.message,
    };
  }

  #waitingFor(): string | undefined {
    if (this.#state.phase === 'opening') return 'the store';
    if (this.#state.phase !== 'filling') return undefined;
    const isHeld = this.#filling?.feeds.size === 0 && this.#roster.isHeld;
    return isHeld ? this.#share?.waitingFor : this.#filling?.waitingFor;
  }

  #publish(event: PublishedEvent['event'], facts: PublishedFacts = {}): void {
    const { body = this.body, sources, error, keptBytes } = facts;
    this.#deps.channels.flight.publish({
      digest: this.digest,
      event,
      sizeBytes: body?.sizeBytes ?? this.#size.sizeBytes,
      filledBytes: body?.filled.bytes ?? 0,
      receivedBytes: this.#receivedBytes,
      keptBytes,
      notKept: undefined,
      waiters: this.#readers.size,
      readers: this.#readersEver,
      ...sourceAccount(sources ?? this.#roster.sources, sources ?? this.#toldSources(event)),
      errorCode: error?.code,
      message: error?.message,
      durationMs: Math.round(this.#deps.clock.monotonic() - this.#startedMs),
    });
  }

  #toldSources(event: PublishedEvent['event']): readonly Source[] {
    const brought = this.#filling?.contributors ?? [];
    return event === 'done' || brought.length > 0 ? brought : this.#roster.suspects;
  }
}

/** What is said of an event besides what a flight knows of itself. */
interface PublishedFacts {
  /** Of what is said of one source only: this one. */
  readonly sources?: readonly Source[];
  readonly error?: AppError | undefined;
  /** The body, where the state has it no more. */
  readonly body?: FillBody | undefined;
  readonly keptBytes?: number | undefined;
}
