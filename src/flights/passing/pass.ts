import { type Clock, sleep, type Timer } from '../../core/clock.ts';
import { AppError, asAppError } from '../../core/errors.ts';
import { persistence } from '../../routing/persistence.ts';
import { RateMeter } from '../rate-meter.ts';
import type { RetryPolicy, Source, SourceBody, Urgency } from '../source.ts';
import type { SourceRoster } from '../source-roster.ts';
import type { PassMemory } from './pass-memory.ts';
import { Transfer, type TransferOptions, type TransferSink } from './transfer.ts';
import { Window } from './window.ts';

export interface PassOptions extends TransferOptions {
  /** So long can whoever waits for a first byte be made to wait. */
  readonly headerPatienceMs: number;
  /** So long without a byte is it tried again for those who have had some. */
  readonly outageTimeoutMs: number;
  /** So long may sources be waited for altogether. */
  readonly deadlineMs: number;
  /** A connection whose bytes nobody has room for is let go after this. */
  readonly idleConnectionMs: number;
}

/** What a pass knows of those who follow it. */
export interface PassFollower {
  /** The next byte that it needs. */
  readonly position: number;
  /** It takes bytes as fast as they come. */
  readonly isRunningUp: boolean;
  /** Its client has had bytes: it can be told nothing but by a cut. */
  readonly hasBegun: boolean;
  /** Bytes came, or there is something else to look at. */
  wake(): void;
  /** What it needs next has gone out of the window. */
  dropped(): void;
  failed(error: AppError): void;
}

/** What a pass needs of the blob that it is a pass of. */
export interface PassHost {
  /** As far as known. */
  readonly sizeBytes: number | undefined;
  /** A source says the size, or has ended there. Throws where that contradicts what is known. */
  sized(source: Source, sizeBytes: number): void;
  received(bytes: number): void;
  /** One more block has been read: perhaps another pass has the rest already. */
  advanced(pass: Pass): void;
  attemptFailed(source: Source, error: AppError, next: Source | undefined): void;
  /** It has no followers any more, or has failed them: it is gone. */
  ended(pass: Pass, error: AppError | undefined): void;
}

export interface PassDeps {
  readonly host: PassHost;
  readonly roster: SourceRoster;
  readonly memory: PassMemory;
  readonly clock: Clock;
  readonly retry: RetryPolicy;
}

/**
 * One transfer of a blob, from some byte on, into a window of memory; those who are near enough follow it.
 *
 * Invariants
 * - It reads ahead of its foremost follower by a part of its window and waits for nobody else: a slower one falls out of
 *   the window, is told (`dropped`) and belongs to it no more (P3).
 * - It ends, and gives its memory back, when it has no follower left, whether they left, moved on or were dropped.
 * - A source that fails is replaced at the first missing byte. One that nobody has room for is let go after a while, so
 *   that a client that takes its time holds no connection that others wait for; from then on it asks for no more than fits.
 * - Everything runs to completion between two awaits; after an await `#over` is looked at first.
 */
export class Pass implements TransferSink {
  readonly start: number;
  /** Those who brought its bytes. */
  readonly contributors: Set<Source> = new Set();
  readonly #deps: PassDeps;
  readonly #options: PassOptions;
  readonly #followers = new Set<PassFollower>();
  readonly #meter: RateMeter;
  readonly #abort = new AbortController();
  #window: Window;
  #grantedBytes = 0;
  #withdraw: (() => void) | undefined;
  #transfer: Transfer | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  #over = false;
  #broken = false;
  #waitingFor: string | undefined;
  #failuresInRow = 0;
  /** Since when there has been no progress; undefined while nothing failed since. */
  #failingSinceMs: number | undefined;
  #attempts = 0;
  /** For how long sources were waited for, but for the present transfer. */
  #waitedMs = 0;
  /** It asks for what fits the window instead of for all that follows. */
  #inPieces = false;
  #idle: Timer | undefined;
  #fullSinceMs = 0;

  /** `isNew`: for a reader that can be told to come back later. Throws OVERLOADED where there is no memory for it. */
  constructor(deps: PassDeps, options: PassOptions, start: number, isNew: boolean) {
    this.#deps = deps;
    this.#options = options;
    this.start = start;
    this.#meter = new RateMeter(deps.clock);
    this.#window = new Window(start, 0);
    if (isNew) this.#begin(this.#takeMemory());
    else this.#awaitMemory();
  }

  get window(): Window {
    return this.#window;
  }

  /** Whether nobody can join any more. */
  get isClosed(): boolean {
    return this.#over || this.#broken;
  }

  /** Every byte to the end of the blob has been read. */
  get isComplete(): boolean {
    return this.#window.end === this.#deps.host.sizeBytes;
  }

  get attempts(): number {
    return this.#attempts;
  }

  get bytesPerSecond(): number {
    return this.#meter.bytesPerSecond;
  }

  get followers(): ReadonlySet<PassFollower> {
    return this.#followers;
  }

  get source(): Source | undefined {
    return this.#transfer?.source;
  }

  /** What it waits for, in words; undefined while bytes come or all have. */
  get waitingFor(): string | undefined {
    if (this.#room !== undefined || this.isComplete) return 'its readers';
    if (this.#transfer?.asking === false) return undefined;
    return this.#waitingFor ?? `an answer from ${this.#transfer?.source.name ?? 'a source'}`;
  }

  follow(follower: PassFollower): void {
    this.#followers.add(follower);
    this.moved();
  }

  /** The follower needs nothing more of it. */
  leave(follower: PassFollower): void {
    if (!this.#followers.delete(follower)) return;
    if (this.#followers.size === 0) this.#end(undefined);
    else this.moved();
  }

  /** A follower has moved on, or there is one more or less: perhaps more bytes are wanted. */
  moved(): void {
    if (this.#room === undefined || this.#roomBytes() < this.#leastRoomBytes) return;
    this.#room.resolve();
    this.#room = undefined;
  }

  /** What it brought is wrong: its sources have a fault, and nobody may join. Returns false where that is known. */
  blame(error: AppError): boolean {
    if (this.#broken) return false;
    this.#broken = true;
    for (const source of this.contributors) {
      this.#deps.roster.failed(source, error);
      source.discredit(error);
    }
    return true;
  }

  fail(error: AppError): void {
    if (this.#over) return;
    const followers = [...this.#followers];
    this.#followers.clear();
    this.#end(error);
    for (const follower of followers) follower.failed(error);
  }

  // --- memory ------------------------------------------------------------------------------------------------------

  /** What is still to come, as a window could use it. */
  get #restBytes(): number {
    const { sizeBytes } = this.#deps.host;
    return sizeBytes === undefined ? Number.POSITIVE_INFINITY : Math.max(0, sizeBytes - this.#window.end);
  }

  get #wantedBytes(): number {
    return this.#restBytes === Number.POSITIVE_INFINITY ? this.#restBytes : Window.capacityFor(this.#restBytes);
  }

  #takeMemory(): number {
    const bytes = this.#deps.memory.take(this.#wantedBytes);
    if (bytes !== undefined) return bytes;
    const message = 'all memory for what the disk cannot take is in use';
    throw new AppError('OVERLOADED', message, { retryAfterMs: 1000 });
  }

  #awaitMemory(): void {
    this.#waitingFor = 'memory';
    const late = this.#deps.clock.after(this.#options.deadlineMs, () => {
      this.fail(
        new AppError('OVERLOADED', 'no memory came free for what the disk cannot take', { retryAfterMs: 1000 }),
      );
    });
    const withdraw = this.#deps.memory.request(this.#wantedBytes, (bytes) => {
      late.clear();
      this.#withdraw = undefined;
      this.#begin(bytes);
    });
    if (this.#grantedBytes > 0) return;
    this.#withdraw = () => {
      late.clear();
      withdraw();
    };
  }

  #begin(grantedBytes: number): void {
    this.#grantedBytes = grantedBytes;
    this.#window = new Window(this.start, grantedBytes);
    void this.#run();
  }

  // --- reading -----------------------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    try {
      // The followers come in the same turn; nothing is asked for before it is known what for.
      await undefined;
      while (!this.#over && !this.isComplete) {
        await this.room();
        if (!this.#over) await this.#attempt();
      }
    } catch (error) {
      this.fail(asAppError(error));
    }
  }

  async #attempt(): Promise<void> {
    const { roster, clock } = this.#deps;
    const source = roster.next();
    if (source === undefined) throw new AppError('UPSTREAM_FAILED', 'nobody has the blob any more');
    const end = this.#inPieces ? this.#window.end + this.#roomBytes() : undefined;
    const range = { start: this.#window.end, end };
    this.#attempts++;
    this.#waitingFor = undefined;
    const budgetMs = this.#options.deadlineMs - this.#waitedMs;
    const transfer = new Transfer({ sink: this, clock }, source, range, this.#options, budgetMs);
    this.#transfer = transfer;
    const outcome = await transfer.run();
    this.#transfer = undefined;
    this.#waitedMs += transfer.waitedMs;
    if (this.#over) return;
    if (outcome.kind === 'failed') return this.#failed(source, outcome.error);
    // Whoever takes faster than pieces come can have a stream again.
    if (outcome.kind === 'met') this.#inPieces &&= this.#roomBytes() < this.#leastRoomBytes;
  }

  async #failed(source: Source, error: AppError): Promise<void> {
    const { host, roster, retry, clock } = this.#deps;
    roster.failed(source, error);
    const next = error.code === 'PULL_DEADLINE' ? undefined : roster.next();
    this.#failuresInRow++;
    const nowMs = clock.monotonic();
    this.#failingSinceMs ??= nowMs;
    const { headerPatienceMs: boundMs, outageTimeoutMs } = this.#options;
    const triedMs = nowMs - this.#failingSinceMs;
    const situation = {
      retryable: error.retryable || next !== source,
      attempt: this.#failuresInRow,
      retryAfterMs: (next && roster.restMs(next)) || undefined,
    };
    const { isAway, outageMs } = roster;
    const prompt = persistence({ boundMs, leftMs: boundMs, triedMs, isAway, outageMs });
    let delayMs = next && retry({ ...situation, ...prompt });
    if (next !== undefined && delayMs === undefined && this.#deny(error)) {
      delayMs = retry({ ...situation, persistMs: Math.max(0, outageTimeoutMs - triedMs) });
    }
    host.attemptFailed(source, error, delayMs === undefined ? undefined : next);
    if (delayMs === undefined) throw error;
    this.#waitingFor = `another attempt after: ${error.message}`;
    this.#waitedMs += delayMs;
    if (this.#waitedMs >= this.#options.deadlineMs) throw error;
    await sleep(clock, delayMs, this.#abort.signal).catch(() => {});
  }

  /** Tells those who have had nothing yet. Returns whether there are others. */
  #deny(error: AppError): boolean {
    const waiting = [...this.#followers].filter(({ hasBegun }) => !hasBegun);
    if (waiting.length === this.#followers.size) return false;
    for (const follower of waiting) {
      this.#followers.delete(follower);
      follower.failed(error);
    }
    return true;
  }

  // --- TransferSink ------------------------------------------------------------------------------------------------

  opened(source: Source, answer: SourceBody): void {
    this.contributors.add(source);
    if (answer.blobSizeBytes !== undefined) this.#deps.host.sized(source, answer.blobSizeBytes);
  }

  take(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#roomBytes());
    if (taken === 0) return 0;
    this.#failuresInRow = 0;
    this.#failingSinceMs = undefined;
    this.#meter.add(taken);
    const dropped = this.#window.append(taken === bytes.length ? bytes : bytes.subarray(0, taken));
    for (const follower of this.#followers) follower.wake();
    if (dropped) this.#drop();
    if (!this.#over) this.#deps.host.advanced(this);
    return taken;
  }

  room(): Promise<void> | undefined {
    if (this.#over || this.isComplete || this.#roomBytes() >= this.#leastRoomBytes) return undefined;
    this.#room ??= Promise.withResolvers();
    this.#fullSinceMs = this.#deps.clock.monotonic();
    if (this.#transfer !== undefined && this.#deps.host.sizeBytes !== undefined) this.#idle ??= this.#watchIdle();
    return this.#room.promise;
  }

  ended(source: Source, answer: SourceBody, offset: number): void {
    const { sizeBytes } = this.#deps.host;
    if (sizeBytes === undefined && answer.blobSizeBytes === undefined) {
      // Nobody said how long it is: then it ends here, and the digest tells whether that is so.
      this.#deps.host.sized(source, offset);
    } else if (offset < (sizeBytes ?? offset)) {
      const missingBytes = (sizeBytes ?? offset) - offset;
      throw new AppError('UPSTREAM_INTERRUPTED', `${source.origin} ended ${missingBytes} bytes too early`);
    }
    for (const follower of this.#followers) follower.wake();
  }

  received(bytes: number): void {
    this.#deps.host.received(bytes);
  }

  hasAlternative(source: Source): boolean {
    return this.#deps.roster.alternativeTo(source) !== undefined;
  }

  urgency(): Urgency {
    const rest = this.#restBytes;
    return { waiters: this.#followers.size, missingBytes: rest === Number.POSITIVE_INFINITY ? undefined : rest };
  }

  waiting(reason: string | undefined): void {
    this.#waitingFor = reason;
  }

  // --- pace --------------------------------------------------------------------------------------------------------

  /** So far ahead of its foremost follower it may read: the rest of the window is for those behind. */
  get #aheadBytes(): number {
    const { capacityBytes, keptBytes } = this.#window;
    const { sizeBytes } = this.#deps.host;
    if (sizeBytes !== undefined && sizeBytes - this.#window.start <= capacityBytes) return capacityBytes;
    return Math.min(keptBytes, Math.floor(capacityBytes / (this.#followers.size > 1 ? 4 : 2)));
  }

  /** How many more bytes it may read now. */
  #roomBytes(): number {
    let foremost = this.start;
    for (const { position } of this.#followers) if (position > foremost) foremost = position;
    return Math.max(0, Math.min(foremost + this.#aheadBytes - this.#window.end, this.#restBytes));
  }

  /** Less room than this is not worth going on for. Without it each byte that a client takes would cost a request. */
  get #leastRoomBytes(): number {
    return this.#inPieces && this.#transfer === undefined
      ? Math.max(1, Math.min(Math.floor(this.#aheadBytes / 2), this.#restBytes))
      : 1;
  }

  #watchIdle(): Timer {
    return this.#deps.clock.after(this.#options.idleConnectionMs, () => {
      this.#idle = undefined;
      if (this.#room === undefined || this.#transfer === undefined) return;
      const restMs = this.#fullSinceMs + this.#options.idleConnectionMs - this.#deps.clock.monotonic();
      if (restMs > 0) {
        this.#idle = this.#watchIdle();
        return;
      }
      this.#inPieces = true;
      this.#transfer.stop();
    });
  }

  /** Lets those go whose next byte is not in the window any more. */
  #drop(): void {
    const { start } = this.#window;
    for (const follower of this.#followers) {
      if (follower.position >= start) continue;
      this.#followers.delete(follower);
      follower.dropped();
    }
    if (this.#followers.size === 0) this.#end(undefined);
  }

  #end(error: AppError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#abort.abort();
    this.#idle?.clear();
    this.#withdraw?.();
    this.#transfer?.stop();
    this.#room?.resolve();
    this.#room = undefined;
    this.#window = new Window(this.#window.end, 0);
    this.#deps.memory.giveBack(this.#grantedBytes);
    this.#grantedBytes = 0;
    this.#deps.host.ended(this, error);
  }
}
