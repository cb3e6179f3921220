import type { ServerResponse } from 'node:http';
import { type Answer, dropped, type Stop } from './answer.ts';
import type { Line, LineUser } from './line.ts';
import type { BodyRecord, RequestRecord, Tally } from './tally.ts';

interface Deps {
  readonly line: Line;
  readonly tally: Tally;
}

/** Sends `answer` to the request that `record` stands for. */
export function send(
  deps: Deps,
  record: RequestRecord,
  response: ServerResponse,
  answer: Answer | typeof dropped,
): void {
  if (answer === dropped) response.destroy();
  if (answer === dropped || response.destroyed) return;
  deps.tally.answered(record, answer.status);
  response.writeHead(answer.status, answer.headers);
  if (record.method === 'HEAD') response.end();
  else new Transfer(deps, response, answer).start();
}

type State = 'waiting' | 'queued' | 'halted' | 'ended';

/**
 * One response body on its way: takes turns on the line, pauses while its client does not read, halts at its stops.
 *
 * Invariants: it is in the line's queue when its state is `queued` and then only; `waiting` for the client ends with the
 * response's `drain`, `halted` with the stop's decision; it ends exactly once, when the last byte is handed over or the
 * connection closes, whichever comes first.
 */
class Transfer implements LineUser {
  readonly #line: Line;
  readonly #tally: Tally;
  readonly #response: ServerResponse;
  readonly #body: Uint8Array;
  readonly #stops: Stop[];
  readonly #record: BodyRecord | undefined;
  #offset = 0;
  #state: State = 'waiting';

  constructor(deps: Deps, response: ServerResponse, answer: Answer) {
    this.#line = deps.line;
    this.#tally = deps.tally;
    this.#response = response;
    this.#body = answer.body;
    this.#stops = [...answer.stops].sort((a, b) => a.atByte - b.atByte);
    this.#record = answer.digest && deps.tally.bodyStarted(answer.digest, answer.start);
  }

  start(): void {
    this.#response.once('close', () => this.#end('cut'));
    this.#response.on('drain', () => {
      if (this.#state === 'waiting') this.#goOn();
    });
    this.#goOn();
  }

  turn(maxBytes: number): number {
    // A connection that was just cut takes nothing more, although its `close` is still to come.
    if (this.#state !== 'queued' || this.#response.socket?.destroyed !== false) return 0;
    this.#state = 'waiting';
    const limit = Math.min(this.#body.length, this.#stops[0]?.atByte ?? this.#body.length);
    const slice = this.#body.subarray(this.#offset, Math.min(this.#offset + maxBytes, limit));
    this.#offset += slice.length;
    const clientReads = this.#response.write(slice);
    if (this.#record !== undefined) this.#tally.bodySent(this.#record, slice.length);
    if (clientReads || this.#offset === limit) this.#goOn();
    return slice.length;
  }

  #goOn(): void {
    const stop = this.#stops[0];
    if (stop !== undefined && stop.atByte <= this.#offset) this.#halt(stop);
    else if (this.#offset < this.#body.length) {
      this.#state = 'queued';
      this.#line.queue(this);
    } else {
      this.#end('complete');
      this.#response.end();
    }
  }

  /** Whoever waits for a stop may count on all before it being on its way to the client. */
  #halt(stop: Stop): void {
    this.#state = 'halted';
    const socket = this.#response.socket;
    this.#response.flushHeaders();
    socket?.write('', async (error) => {
      if (error) return;
      const next = await stop.reached();
      if (this.#state !== 'halted') return;
      this.#stops.shift();
      if (next === 'cut') socket.destroy();
      else if (next === 'reset') socket.resetAndDestroy();
      else this.#goOn();
    });
  }

  #end(state: 'complete' | 'cut'): void {
    if (this.#state === 'ended') return;
    if (this.#state === 'queued') this.#line.leave(this);
    this.#state = 'ended';
    if (this.#record !== undefined) this.#tally.bodyEnded(this.#record, state);
  }
}
