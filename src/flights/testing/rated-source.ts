import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { Source, SourceBody, SourceRequest, SourceStanding } from '../source.ts';

export interface RatedScript {
  readonly firstByteMs: number;
  /** Of one connection, while `open` of them deliver; `slot` is the least number that no other has at the time. */
  readonly bytesPerSecond: (slot: number, open: number) => number;
  /** Asked at each request, the first being number 0. */
  readonly refuses?: (index: number, open: number) => AppError | undefined;
  /** So many bytes after its beginning the connection breaks. */
  readonly breaksAfter?: (index: number) => number | undefined;
  /** It never answers. */
  readonly isSilent?: (index: number) => boolean;
  readonly ignoresRanges?: boolean;
}

interface Connection {
  readonly slot: number;
  readonly index: number;
  readonly stop: number;
  position: number;
  credit: number;
  sent: number;
  next: PromiseWithResolvers<IteratorResult<Uint8Array>> | undefined;
}

/** A source that delivers as time passes, at the rates that a test gives to its connections. */
export class RatedSource implements Source {
  readonly name: string;
  readonly origin: string;
  readonly requests: { readonly start: number; readonly end: number | undefined; readonly optional: boolean }[] = [];
  /** How often each byte was sent. */
  readonly sent: Uint8Array;
  standsAt: SourceStanding = { restMs: 0, restReason: undefined, cost: 0, hasRoom: true };
  mostOpen = 0;
  /** Bodies that were left before their end. */
  cutShort = 0;
  readonly #clock: Clock;
  readonly #content: Uint8Array;
  readonly #script: RatedScript;
  readonly #open = new Set<Connection>();

  constructor(clock: Clock, content: Uint8Array, script: RatedScript, name = 'rated') {
    this.name = name;
    this.origin = name;
    this.#clock = clock;
    this.#content = content;
    this.#script = script;
    this.sent = new Uint8Array(content.length);
  }

  standing(): SourceStanding {
    return this.standsAt;
  }

  discredit(): void {}

  async open({ start, end, optional }: SourceRequest, signal: AbortSignal): Promise<SourceBody> {
    const index = this.requests.push({ start, end, optional }) - 1;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const isSilent = this.#script.isSilent?.(index) === true;
    const timer = isSilent ? undefined : this.#clock.after(this.#script.firstByteMs, resolve);
    signal.addEventListener('abort', () => {
      timer?.clear();
      reject(signal.reason);
    });
    await promise;
    const refusal = this.#script.refuses?.(index, this.#open.size);
    if (refusal !== undefined) throw refusal;
    const isWhole = this.#script.ignoresRanges === true;
    const stop = isWhole ? this.#content.length : (end ?? this.#content.length);
    const connection: Connection = {
      slot: this.#freeSlot(),
      index,
      stop,
      position: isWhole ? 0 : start,
      credit: 0,
      sent: 0,
      next: undefined,
    };
    this.#open.add(connection);
    this.mostOpen = Math.max(this.mostOpen, this.#open.size);
    signal.addEventListener('abort', () => {
      if (this.#open.delete(connection) && connection.position < connection.stop) this.cutShort++;
      connection.next?.reject(signal.reason);
    });
    const chunks = { [Symbol.asyncIterator]: () => this.#bodyOf(connection) };
    return { start: connection.position, isWhole, blobSizeBytes: this.#content.length, chunks };
  }

  /** Bodies that it is sending. */
  get openCount(): number {
    return this.#open.size;
  }

  /** So much time has passed: sends what fits into it. */
  pass(ms: number): void {
    const open = this.#open.size;
    for (const connection of [...this.#open]) {
      connection.credit += (this.#script.bytesPerSecond(connection.slot, open) * ms) / 1000;
      this.#send(connection);
    }
  }

  #freeSlot(): number {
    const taken = new Set([...this.#open].map(({ slot }) => slot));
    let slot = 0;
    while (taken.has(slot)) slot++;
    return slot;
  }

  #bodyOf(connection: Connection): AsyncIterator<Uint8Array> {
    return {
      next: () => {
        connection.next = Promise.withResolvers();
        const { promise } = connection.next;
        this.#send(connection);
        return promise;
      },
      return: async () => {
        this.#open.delete(connection);
        return { done: true, value: undefined };
      },
    };
  }

  #send(connection: Connection): void {
    const { next, position, stop } = connection;
    if (next === undefined) return;
    if (position === stop) {
      this.#open.delete(connection);
      return next.resolve({ done: true, value: undefined });
    }
    const breaksAfter = this.#script.breaksAfter?.(connection.index) ?? Number.POSITIVE_INFINITY;
    const end = Math.min(stop, position + Math.floor(connection.credit), position + breaksAfter - connection.sent);
    if (connection.sent === breaksAfter) {
      this.#open.delete(connection);
      return next.reject(new AppError('UPSTREAM_INTERRUPTED', 'broken by the test'));
    }
    if (end <= position) return;
    connection.next = undefined;
    connection.credit -= end - position;
    connection.sent += end - position;
    connection.position = end;
    for (let at = position; at < end; at++) this.sent[at] = (this.sent[at] ?? 0) + 1;
    next.resolve({ done: false, value: this.#content.subarray(position, end) });
  }
}
