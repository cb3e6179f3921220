import type { Clock, Timer } from '../../core/clock.ts';
import { AppError, asAppError } from '../../core/errors.ts';
import { formatDuration } from '../../core/units.ts';
import type { Source, SourceBody, Urgency } from '../source.ts';

/** How a transfer ended. */
export type TransferOutcome =
  /** All that was asked for has come. */
  | { readonly kind: 'met' }
  /** The pass stopped it. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly error: AppError };

export interface TransferOptions {
  /** Without a byte for so long, or with fewer than `minProgressBytes` in that time, a source counts as stalled. */
  readonly stallTimeoutMs: number;
  readonly minProgressBytes: number;
  /** So long may a source take to begin to deliver. */
  readonly askTimeoutMs: number;
}

/** Where a transfer's bytes go. Calls are synchronous but for `room`. */
export interface TransferSink {
  /** It has all there is. */
  readonly isComplete: boolean;
  /** The source answers. Throws where this is not the blob that it should be. */
  opened(source: Source, answer: SourceBody): void;
  /** The next bytes; returns how many of them there was room for. */
  take(bytes: Uint8Array): number;
  /** Resolves when more bytes are wanted; undefined where they are now. */
  room(): Promise<void> | undefined;
  /** The source has ended its body without an error, after the bytes up to `offset`. Throws where it is too early. */
  ended(source: Source, answer: SourceBody, offset: number): void;
  received(bytes: number): void;
  urgency(): Urgency;
  hasAlternative(source: Source): boolean;
  waiting(reason: string | undefined): void;
}

/**
 * One request to one source, for a pass.
 *
 * Invariants
 * - When it is over (met, stopped or failed) nothing of it reaches the sink any more, whatever the source still does.
 * - A source that never settles cannot hold `run`: a stop, a stall or the end of its time ends it.
 * - Only the time that it waits for the source counts: as the source's, and as the pull's. A sink that has no room may
 *   take as long as it likes.
 */
export class Transfer {
  readonly source: Source;
  readonly start: number;
  readonly #end: number | undefined;
  readonly #sink: TransferSink;
  readonly #clock: Clock;
  readonly #options: TransferOptions;
  readonly #budgetMs: number;
  readonly #abort = new AbortController();
  readonly #ended: PromiseWithResolvers<TransferOutcome> = Promise.withResolvers();
  #asking = true;
  #over = false;
  #watch: Timer | undefined;
  /** Since when the source has been waited for, or undefined while the sink is busy with what it sent. */
  #waitingSinceMs: number | undefined;
  #waitedMs = 0;
  /** What came, and how long it was waited for, since progress was last looked at. */
  #lookBytes = 0;
  #lookMs = 0;

  /** `budgetMs`: the source may be waited for so long altogether, then the pull has taken too long. */
  constructor(
    deps: { sink: TransferSink; clock: Clock },
    source: Source,
    range: { start: number; end: number | undefined },
    options: TransferOptions,
    budgetMs: number,
  ) {
    this.#sink = deps.sink;
    this.#clock = deps.clock;
    this.source = source;
    this.start = range.start;
    this.#end = range.end;
    this.#options = options;
    this.#budgetMs = budgetMs;
  }

  /** No byte of the body has come yet. */
  get asking(): boolean {
    return this.#asking;
  }

  /** How long the source was waited for, in ms. */
  get waitedMs(): number {
    return this.#waitedMs + this.#sinceMs();
  }

  get #isDone(): boolean {
    return this.#over || this.#sink.isComplete;
  }

  run(): Promise<TransferOutcome> {
    this.#waitingSinceMs = this.#clock.monotonic();
    this.#guard(this.#options.askTimeoutMs);
    this.#read().then(
      () => this.#finish({ kind: 'met' }),
      (error) => this.#finish({ kind: 'failed', error: asAppError(error) }),
    );
    return this.#ended.promise;
  }

  /** Ends it: `run` resolves with 'stopped', the connection is let go. */
  stop(): void {
    this.#finish({ kind: 'stopped' });
  }

  #finish(outcome: TransferOutcome): void {
    if (this.#over) return;
    this.#pause();
    this.#over = true;
    this.#watch?.clear();
    this.#abort.abort(new AppError('CANCELLED', 'the pass does not need this transfer any more'));
    this.#ended.resolve(outcome);
  }

  async #read(): Promise<void> {
    const { start } = this;
    const request = {
      start,
      end: this.#end,
      optional: false,
      urgency: () => this.#sink.urgency(),
      hasAlternative: () => this.#sink.hasAlternative(this.source),
      waiting: (reason: string | undefined) => {
        if (!this.#over) this.#sink.waiting(reason);
      },
    };
    const answer = await this.source.open(request, this.#abort.signal);
    if (this.#over) return void leave(answer);
    this.#sink.opened(this.source, answer);
    if (answer.start > start) {
      throw new AppError('UPSTREAM_INVALID', `${this.source.origin} answered from ${answer.start}, not from ${start}`);
    }
    let offset = answer.start;
    for await (const chunk of answer.chunks) {
      if (this.#over) return;
      this.#got(chunk.length);
      offset += chunk.length;
      // What comes before the start is passing by: the source does not serve ranges.
      const wanted = Math.min(chunk.length, offset - start);
      if (wanted > 0) {
        const bytes = wanted === chunk.length ? chunk : chunk.subarray(chunk.length - wanted);
        const taken = this.#sink.take(bytes);
        if (taken < bytes.length) await this.#handOn(bytes, taken);
      }
      if (this.#isDone || (this.#end !== undefined && offset >= this.#end)) return;
      const room = wanted > 0 ? this.#sink.room() : undefined;
      if (room !== undefined) await room;
      if (this.#over) return;
      this.#waitingSinceMs = this.#clock.monotonic();
    }
    if (!this.#over) this.#sink.ended(this.source, answer, offset);
  }

  /** Gives the sink the rest of `bytes` as it finds room. */
  async #handOn(bytes: Uint8Array, taken: number): Promise<void> {
    for (let from = taken; from < bytes.length && !this.#isDone; ) {
      await this.#sink.room();
      if (!this.#isDone) from += this.#sink.take(bytes.subarray(from));
    }
  }

  #got(bytes: number): void {
    this.#pause();
    if (this.#asking) this.#lookMs = 0;
    this.#asking = false;
    this.#lookBytes += bytes;
    this.#sink.received(bytes);
  }

  /** The source is not waited for any more. */
  #pause(): void {
    const waitedMs = this.#sinceMs();
    this.#waitedMs += waitedMs;
    this.#lookMs += waitedMs;
    this.#waitingSinceMs = undefined;
  }

  #sinceMs(): number {
    return this.#waitingSinceMs === undefined ? 0 : this.#clock.monotonic() - this.#waitingSinceMs;
  }

  #guard(timeoutMs: number): void {
    const leftMs = Math.max(0, this.#budgetMs - this.waitedMs);
    this.#watch = this.#clock.after(Math.min(timeoutMs, leftMs), () => {
      if (this.waitedMs >= this.#budgetMs) return this.#fail('PULL_DEADLINE', 'the pull took longer than it may');
      const { askTimeoutMs, stallTimeoutMs } = this.#options;
      const limitMs = this.#asking ? askTimeoutMs : stallTimeoutMs;
      const sinceMs = this.#sinceMs();
      const name = this.source.origin;
      if (sinceMs >= limitMs)
        return this.#fail('UPSTREAM_STALLED', `${name} sent nothing for ${formatDuration(sinceMs)}`);
      if (!this.#asking) this.#lookAtProgress(sinceMs);
      if (!this.#over) this.#guard(limitMs - sinceMs);
    });
  }

  /** So few bytes in so long a time that another source is worth a try. */
  #lookAtProgress(sinceMs: number): void {
    const lookMs = this.#lookMs + sinceMs;
    if (lookMs < this.#options.stallTimeoutMs) return;
    if (this.#lookBytes < this.#options.minProgressBytes) {
      const message = `${this.source.origin} sent only ${this.#lookBytes} bytes in ${formatDuration(lookMs)}`;
      return this.#fail('UPSTREAM_STALLED', message);
    }
    this.#lookBytes = 0;
    this.#lookMs = -sinceMs;
  }

  #fail(code: 'UPSTREAM_STALLED' | 'PULL_DEADLINE', message: string): void {
    this.#finish({ kind: 'failed', error: new AppError(code, message) });
  }
}

/** Ends a transfer whose body nobody reads. */
async function leave(answer: SourceBody): Promise<void> {
  await answer.chunks[Symbol.asyncIterator]().return?.();
}
