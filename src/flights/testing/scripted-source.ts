import { AppError } from '../../core/errors.ts';
import type { Source, SourceBody, SourceRequest, SourceStanding } from '../source.ts';

/** What a test has a source say of itself. */
export interface AnswerScript {
  /** Answer from byte 0, whatever was asked. */
  readonly ignoreRange?: boolean;
  /** The blob's size as told; `null`: not told. The truth, where it is left out. */
  readonly sizeBytes?: number | null;
}

/** One request that a flight made, under the test's control: nothing happens but what the test says. */
export class Attempt {
  readonly source: ScriptedSource;
  readonly request: SourceRequest;
  readonly start: number;
  readonly end: number | undefined;
  readonly signal: AbortSignal;
  readonly answered: Promise<SourceBody>;
  /** The flight has left: it aborted, or ended the body early. */
  isLeft = false;
  isAnswered = false;
  isOver = false;
  position = 0;
  /** The flight waits for the next chunk. */
  isAwaited = false;
  readonly #answer: PromiseWithResolvers<SourceBody> = Promise.withResolvers();
  #next: PromiseWithResolvers<IteratorResult<Uint8Array>> | undefined;
  #stop = 0;
  /** Bytes that were sent and not given back yet, in order; undefined: they are not lent. */
  #lent: Uint8Array[] | undefined;

  constructor(source: ScriptedSource, request: SourceRequest, signal: AbortSignal) {
    this.source = source;
    this.request = request;
    this.start = request.start;
    this.end = request.end;
    this.signal = signal;
    this.answered = this.#answer.promise;
    signal.addEventListener('abort', () => {
      this.isLeft = true;
      this.isOver = true;
      this.#answer.reject(signal.reason);
      this.#next?.reject(signal.reason);
    });
  }

  /** What is lent at present. */
  get lentBytes(): number {
    return (this.#lent ?? []).reduce((sum, { length }) => sum + length, 0);
  }

  answer(script: AnswerScript = {}): void {
    const { content } = this.source;
    this.position = script.ignoreRange === true ? 0 : this.start;
    this.#stop = script.ignoreRange === true ? content.length : (this.end ?? content.length);
    this.isAnswered = true;
    this.#answer.resolve({
      start: this.position,
      isWhole: script.ignoreRange === true,
      blobSizeBytes: script.sizeBytes === null ? undefined : (script.sizeBytes ?? content.length),
      chunks: { [Symbol.asyncIterator]: () => this.#iterator() },
      lend: () => this.#lend(),
    });
  }

  refuse(error: AppError): void {
    this.isOver = true;
    this.#answer.reject(error);
  }

  /** Sends up to `bytes` more, changed by `change`, or the end of the body. */
  deliver(bytes: number, change: (chunk: Uint8Array) => void = () => {}): void {
    const chunk = this.source.content.slice(this.position, Math.min(this.#stop, this.position + bytes));
    if (chunk.length === 0) return this.finish();
    change(chunk);
    this.source.delivered(this.position, chunk.length);
    this.position += chunk.length;
    this.#lent?.push(chunk);
    this.#settle((next) => next.resolve({ done: false, value: chunk }));
  }

  cut(): void {
    this.isOver = true;
    this.#settle((next) => next.reject(new AppError('UPSTREAM_INTERRUPTED', 'cut by the test')));
  }

  /** Ends the body here, whether all of it was sent or not. */
  finish(): void {
    this.isOver = true;
    this.#settle((next) => next.resolve({ done: true, value: undefined }));
  }

  /** What is given back is used again at once, for something else: whoever still looks at it sees that. */
  #lend(): (bytes: number) => void {
    const lent: Uint8Array[] = [];
    this.#lent = lent;
    return (bytes) => {
      for (let left = bytes; left > 0; ) {
        const first = lent.shift();
        if (first === undefined) throw new Error('more was given back than was lent');
        const part = first.subarray(0, left);
        part.fill(0xee);
        left -= part.length;
        if (part.length < first.length) lent.unshift(first.subarray(part.length));
      }
    };
  }

  #settle(how: (next: PromiseWithResolvers<IteratorResult<Uint8Array>>) => void): void {
    const next = this.#next;
    this.#next = undefined;
    this.isAwaited = false;
    if (next !== undefined) how(next);
  }

  #iterator(): AsyncIterator<Uint8Array> {
    return {
      next: () => {
        this.#next = Promise.withResolvers();
        this.isAwaited = true;
        if (this.signal.aborted) this.#settle((next) => next.reject(this.signal.reason));
        return this.#next?.promise ?? Promise.reject(this.signal.reason);
      },
      return: async () => {
        this.isLeft = true;
        this.isOver = true;
        return { done: true, value: undefined };
      },
    };
  }
}

/** A source that does what a test says. */
export class ScriptedSource implements Source {
  readonly name: string;
  readonly origin = 'test';
  readonly content: Uint8Array;
  readonly attempts: Attempt[] = [];
  /** How often each byte was sent. */
  readonly sent: Uint16Array;
  standsAt: SourceStanding = { restMs: 0, restReason: undefined, cost: 0, hasRoom: true };
  readonly discredits: AppError[] = [];

  constructor(name: string, content: Uint8Array, sent: Uint16Array = new Uint16Array(content.length)) {
    this.name = name;
    this.content = content;
    this.sent = sent;
  }

  standing(): SourceStanding {
    return this.standsAt;
  }

  discredit(error: AppError): void {
    this.discredits.push(error);
  }

  open(request: SourceRequest, signal: AbortSignal): Promise<SourceBody> {
    const attempt = new Attempt(this, request, signal);
    this.attempts.push(attempt);
    if (signal.aborted) attempt.refuse(new AppError('CANCELLED', 'aborted before it began'));
    return attempt.answered;
  }

  delivered(offset: number, bytes: number): void {
    for (let at = offset; at < offset + bytes; at++) this.sent[at] = (this.sent[at] ?? 0) + 1;
  }

  /** Requests that wait for an answer. */
  get asking(): Attempt[] {
    return this.attempts.filter((attempt) => !attempt.isAnswered && !attempt.isOver);
  }

  /** Bodies whose next chunk the flight waits for. */
  get awaited(): Attempt[] {
    return this.attempts.filter((attempt) => attempt.isAnswered && !attempt.isOver && attempt.isAwaited);
  }
}
