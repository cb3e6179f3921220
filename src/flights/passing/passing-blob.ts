import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { Channels, FlightEvent, PassThroughEvent } from '../../telemetry/channels.ts';
import type { FlightSnapshot } from '../flight-snapshot.ts';
import type { RetryPolicy, Source } from '../source.ts';
import { sourceAccount } from '../source-account.ts';
import { SourceRoster } from '../source-roster.ts';
import { Pass, type PassDeps, type PassHost, type PassOptions } from './pass.ts';
import type { PassMemory } from './pass-memory.ts';
import { PassReader, type PassReaderHost, type PassReaderOptions } from './pass-reader.ts';

export interface PassingBlobOptions extends PassOptions {
  /** So many bytes at a blob's end are held back from each reader until it has verified all of it. */
  readonly holdBackBytes: number;
  /** Wrong bodies that a reader makes good, as long as its client has had nothing. */
  readonly maxBadBodies: number;
}

export interface PassingBlobDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly retry: RetryPolicy;
  readonly memory: PassMemory;
}

/** Received bytes are told of whenever so many more have come. */
const tellEveryBytes = 1024 * 1024;

/**
 * A blob that is streamed to its readers without being kept: the passes under way, and who follows which.
 *
 * Invariants
 * - Every reader that waits for a byte follows a pass that has it or will soon, or whose turn for memory has not come.
 * - A pass is opened only where no other one has the reader's next byte near; of two passes that meet, the one behind
 *   gives its readers up, so that no byte is fetched twice for long (P1).
 * - Readers that run over the blob as fast as it comes are kept apart from those whose clients take it: they would drag
 *   these passes along, and leave the others behind.
 * - It is over when its last reader has closed; then no pass is left.
 */
export class PassingBlob implements PassHost, PassReaderHost {
  readonly digest: Digest;
  /** Resolves if a pass ends without what its readers needed. */
  readonly failed: Promise<AppError>;
  readonly #deps: PassingBlobDeps;
  readonly #options: PassingBlobOptions;
  readonly #passDeps: PassDeps;
  readonly #roster: SourceRoster;
  readonly #passes = new Set<Pass>();
  /** Who brought what the passes that are gone had. */
  readonly #contributors = new Set<Source>();
  readonly #readers = new Set<PassReader>();
  readonly #causes = new Set<PassThroughEvent['cause']>();
  readonly #failure: PromiseWithResolvers<AppError> = Promise.withResolvers();
  readonly #left: (blob: PassingBlob) => void;
  readonly #startedAtMs: number;
  readonly #startedMs: number;
  #sizeBytes: number | undefined;
  #error: AppError | undefined;
  #hasServed = false;
  #receivedBytes = 0;
  #toldBytes = 0;
  #earlierAttempts = 0;
  #furthest = 0;
  #readersEver = 0;

  /** `left`: called when the last reader has closed. */
  constructor(
    deps: PassingBlobDeps,
    options: PassingBlobOptions,
    blob: { digest: Digest; sizeBytes: number | undefined },
    left: (blob: PassingBlob) => void,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.digest = blob.digest;
    this.#sizeBytes = blob.sizeBytes;
    this.#left = left;
    this.#startedAtMs = deps.clock.now();
    this.#startedMs = deps.clock.monotonic();
    this.#roster = new SourceRoster(deps.clock);
    this.failed = this.#failure.promise;
    const { memory, clock, retry } = deps;
    this.#passDeps = { host: this, roster: this.#roster, memory, clock, retry };
  }

  get sizeBytes(): number | undefined {
    return this.#sizeBytes;
  }

  /** Whether anybody was ever served by it. */
  get hasBegun(): boolean {
    return this.#causes.size > 0;
  }

  /** Why it is passed, as was said first. */
  get cause(): PassThroughEvent['cause'] | undefined {
    const [first] = this.#causes;
    return first;
  }

  /** Adds a reader. Throws OVERLOADED where it `isNew` and there is no memory for the pass that it needs. */
  join(
    sources: readonly Source[],
    cause: PassThroughEvent['cause'],
    options: Pick<PassReaderOptions, 'announcedBytes' | 'range' | 'handed'>,
  ): PassReader {
    for (const source of sources) this.#roster.add(source);
    const { holdBackBytes, maxBadBodies } = this.#options;
    const reader = new PassReader(this, { ...options, holdBackBytes, maxBadBodies });
    this.#readers.add(reader);
    this.#readersEver++;
    try {
      this.place(reader, options.handed === undefined);
    } catch (error) {
      reader.close();
      throw error;
    }
    this.#note(cause);
    return reader;
  }

  /** Whether a reader that begins at `offset` would share a transfer. */
  hasNear(offset: number): boolean {
    return this.#near(offset, false) !== undefined;
  }

  /** Ends it for everybody. */
  fail(error: AppError): void {
    this.#error ??= error;
    for (const pass of [...this.#passes]) pass.fail(error);
    for (const reader of this.#readers) reader.failed(error);
  }

  // --- readers (PassReaderHost) ------------------------------------------------------------------------------------

  place(reader: PassReader, isNew: boolean): void {
    const near = this.#near(reader.position, reader.isRunningUp);
    if (near !== undefined) return reader.follow(near);
    const pass = new Pass(this.#passDeps, this.#options, reader.position, isNew);
    this.#passes.add(pass);
    reader.follow(pass);
  }

  mismatched(reader: PassReader, error: AppError): void {
    this.#error ??= error;
    let isNews = false;
    for (const pass of reader.passes) isNews = pass.blame(error) || isNews;
    if (isNews) this.#publish('discarded-body', error);
  }

  leave(reader: PassReader): void {
    if (!this.#readers.delete(reader)) return;
    this.#hasServed ||= reader.isVerified;
    if (this.#readers.size > 0) return;
    this.#publishEnd();
    this.#left(this);
  }

  // --- passes (PassHost) -------------------------------------------------------------------------------------------

  sized(source: Source, sizeBytes: number): void {
    if (sizeBytes === this.#sizeBytes) return;
    if (this.#sizeBytes !== undefined || sizeBytes < this.#furthest) {
      const expected = this.#sizeBytes ?? `at least ${this.#furthest}`;
      const message = `${source.origin} has ${sizeBytes} bytes where ${expected} were expected`;
      throw new AppError('CONTENT_MISMATCH', message);
    }
    this.#sizeBytes = sizeBytes;
    for (const reader of this.#readers) reader.wake();
  }

  received(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes - this.#toldBytes >= tellEveryBytes) this.#tellBytes();
  }

  advanced(pass: Pass): void {
    this.#furthest = Math.max(this.#furthest, pass.window.end);
    if (this.#passes.size > 1) this.#merge(pass);
  }

  attemptFailed(source: Source, error: AppError, next: Source | undefined): void {
    this.#publish('source-failed', error, [source]);
    if (next === undefined) return;
    const failover = next !== source;
    this.#deps.channels.retry.publish({ upstream: source.origin, kind: 'blob', cause: error.code, failover });
  }

  ended(pass: Pass, error: AppError | undefined): void {
    this.#passes.delete(pass);
    for (const source of pass.contributors) this.#contributors.add(source);
    this.#earlierAttempts += pass.attempts;
    if (error === undefined) return;
    this.#error ??= error;
    this.#failure.resolve(error);
  }

  /** The pass that a reader at `offset` is best served by; undefined where it needs one of its own. */
  #near(offset: number, isRunningUp: boolean): Pass | undefined {
    let best: Pass | undefined;
    let bestBytes = Number.POSITIVE_INFINITY;
    for (const pass of this.#passes) {
      if (pass.isClosed || hasRunners(pass) !== isRunningUp) continue;
      const { window } = pass;
      // To be waited for, or behind the front: either way the less the better.
      const distanceBytes = Math.abs(offset - window.end);
      const isNear = window.reaches(offset) || (offset > window.end && distanceBytes <= window.capacityBytes / 4);
      if (isNear && distanceBytes < bestBytes) [best, bestBytes] = [pass, distanceBytes];
    }
    return best;
  }

  /** Readers of `behind` whose next byte another pass, further on, has by now go over to it. */
  #merge(behind: Pass): void {
    for (const ahead of this.#passes) {
      if (ahead === behind || ahead.isClosed || ahead.window.end <= behind.window.end) continue;
      for (const reader of this.#readers) {
        const isIn = reader.pass === behind && !reader.isVerified && ahead.window.reaches(reader.position);
        if (isIn && hasRunners(ahead) === reader.isRunningUp) reader.follow(ahead);
      }
    }
  }

  // --- in plain sight ----------------------------------------------------------------------------------------------

  snapshot(): FlightSnapshot {
    const passes = [...this.#passes];
    const waits = passes.map((pass) => pass.waitingFor);
    const waitingFor = waits.includes(undefined) ? undefined : waits[0];
    return {
      digest: this.digest,
      state: this.#readers.size === 0 ? this.#endState : waitingFor === undefined ? 'pulling' : 'waiting',
      waitingFor: this.#readers.size === 0 ? undefined : waitingFor,
      sizeBytes: this.#sizeBytes,
      filledBytes: this.#furthest,
      notKept: this.cause,
      ranges: passes.flatMap(({ source, start, window }) =>
        source === undefined ? [] : [{ source: source.name, start, nextOffset: window.end }],
      ),
      waiters: this.#readers.size,
      sources: this.#roster.names,
      receivedBytes: this.#receivedBytes,
      // What is streamed without being kept is read from upstreams only.
      peerBytes: 0,
      rateBytesPerSecond: passes.reduce((sum, pass) => sum + pass.bytesPerSecond, 0),
      attempts: this.#earlierAttempts + passes.reduce((sum, pass) => sum + pass.attempts, 0),
      peerAttempts: 0,
      startedAtMs: this.#startedAtMs,
      ageMs: Math.round(this.#deps.clock.monotonic() - this.#startedMs),
      error: this.#error?.message,
    };
  }

  get #endState(): 'done' | 'failed' {
    return this.#error === undefined || this.#hasServed ? 'done' : 'failed';
  }

  #note(cause: PassThroughEvent['cause']): void {
    if (this.#causes.has(cause)) return;
    const isFirst = this.#causes.size === 0;
    this.#causes.add(cause);
    if (isFirst) this.#publish('started');
    this.#deps.channels.passThrough.publish({ digest: this.digest, cause });
  }

  #tellBytes(): void {
    const bytes = this.#receivedBytes - this.#toldBytes;
    this.#toldBytes = this.#receivedBytes;
    if (bytes > 0) this.#deps.channels.passedBytes.publish({ bytes });
  }

  #publishEnd(): void {
    if (!this.hasBegun) return;
    this.#tellBytes();
    const wasWhole = this.#sizeBytes !== undefined && this.#furthest === this.#sizeBytes;
    if (this.#hasServed || (this.#error === undefined && wasWhole)) this.#publish('passed');
    else if (this.#error !== undefined) this.#publish('failed', this.#error);
    else this.#publish('parked');
  }

  #publish(event: FlightEvent['event'], error?: AppError, sources?: readonly Source[]): void {
    const brought = new Set([
      ...this.#contributors,
      ...[...this.#passes].flatMap(({ contributors }) => [...contributors]),
    ]);
    const told = sources ?? (brought.size > 0 ? [...brought] : this.#roster.suspects);
    this.#deps.channels.flight.publish({
      digest: this.digest,
      event,
      sizeBytes: this.#sizeBytes,
      filledBytes: this.#furthest,
      receivedBytes: this.#receivedBytes,
      keptBytes: 0,
      notKept: this.cause,
      waiters: this.#readers.size,
      readers: this.#readersEver,
      ...sourceAccount(sources ?? this.#roster.sources, told),
      errorCode: error?.code,
      message: error?.message,
      durationMs: Math.round(this.#deps.clock.monotonic() - this.#startedMs),
    });
  }
}

function hasRunners(pass: Pass): boolean {
  for (const follower of pass.followers) if (follower.isRunningUp) return true;
  return false;
}
