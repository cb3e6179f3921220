import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from '../connection.ts';
import type { Exchange } from '../exchange.ts';
import { hasBody } from '../request-body.ts';
import { StallTimer } from '../stall-timer.ts';
import type { FastLane, LaneAnswer } from './fast-lane.ts';
import { maxHeadBytes } from './judged-heads.ts';
import type { OnData } from './node-internals.ts';

const nothing = Buffer.alloc(0);

/**
 * One connection's way past the fast lane to node:http.
 *
 * Invariants
 * - Every byte is either part of a request that was answered here, or given to node:http, in the order they came.
 * - `#atRequest` says that node:http's parser stands where a request begins: it was given nothing yet, or the last chunk
 *   ended with an empty line and held a request, the last of which had no body and is complete. (After an empty line a
 *   parser is at the beginning of a request, in a body, or was handed over.)
 * - Nothing is answered before node:http has seen a request: it cuts connections on which the first one does not come.
 * - What an exchange was asked with (`text`) is what node:http was given in one chunk, beginning there, and found exactly
 *   one request in. Whether that is all that is in it is for `JudgedHeads` to say.
 */
export class LaneConnection {
  readonly socket: Socket;
  readonly connection: Connection;
  readonly #lane: FastLane;
  readonly #theirs: OnData;
  readonly #stall: StallTimer;
  /** Whether writes are never done when they return: TLS. */
  readonly #isSlow: boolean;
  #atRequest = true;
  #isFirst = true;
  /** Requests that node:http found in the chunk that it is being fed, and the last of them. */
  #found = 0;
  #last: Exchange | undefined;
  #answer: LaneAnswer | undefined;
  #letGo: (() => void)[] = [];

  constructor(lane: FastLane, socket: Socket, connection: Connection, theirs: OnData) {
    this.#lane = lane;
    this.socket = socket;
    this.connection = connection;
    this.#theirs = theirs;
    this.#isSlow = 'encrypted' in socket;
    this.#stall = new StallTimer(lane.deps.clock, lane.options.clientTimeoutMs, () => connection.cut());
    socket.on('data', this.#onData);
  }

  /** node:http has found a request in what it was fed. */
  found(exchange: Exchange): void {
    this.#found++;
    this.#last = exchange;
  }

  /** Nothing of this socket is HTTP any more. */
  leave(): void {
    this.socket.off('data', this.#onData);
  }

  /** The socket has closed. */
  close(): void {
    this.#atRequest = false;
    this.#last = undefined;
    this.#settle(false);
    this.#stall.clear();
  }

  /** Writes `bytes`, which are `answer`'s, and its body where that stands for itself. */
  send(answer: LaneAnswer, bytes: Buffer): void {
    const { socket } = this;
    const { body } = answer.response;
    if (this.#isSlow) {
      this.#wait(answer, bytes);
      if (body !== undefined) socket.write(bytes);
      socket.write(body ?? bytes, this.#onTaken);
      return;
    }
    if (body === undefined) socket.write(bytes);
    else this.#writeBoth(bytes, body);
    if (socket.writableLength === 0) return this.#lane.over(this, answer, !socket.errored && !socket.destroyed);
    this.#wait(answer, bytes);
    // Called back when all before it is taken.
    socket.write(nothing, this.#onTaken);
  }

  /** With one call of the kernel. */
  #writeBoth(head: Buffer, body: Uint8Array): void {
    const { socket } = this;
    socket.cork();
    socket.write(head);
    socket.write(body);
    socket.uncork();
  }

  readonly #onData = (chunk: NonSharedBuffer): void => {
    const isHead = this.#atRequest && !this.connection.busy && chunk.length <= maxHeadBytes;
    const text = isHead ? chunk.toString('latin1') : undefined;
    if (text !== undefined && this.#isFree && this.#lane.answer(text, this)) return;
    this.#feed(chunk, text);
  };

  #feed(chunk: NonSharedBuffer, text: string | undefined): void {
    this.#found = 0;
    this.#theirs(chunk);
    const last = this.#last;
    this.#last = undefined;
    this.#atRequest = last !== undefined && endsWithEmptyLine(chunk) && isComplete(last.request);
    if (last === undefined) return;
    this.#isFirst = false;
    if (text !== undefined && this.#found === 1 && this.#atRequest) last.text = text;
  }

  /** Whether all that was written is taken, and more may be. */
  get #isFree(): boolean {
    const { socket } = this;
    return !this.#isFirst && this.#answer === undefined && socket.writableLength === 0 && socket.writable;
  }

  #wait(answer: LaneAnswer, bytes: Buffer): void {
    this.#answer = answer;
    const { queued } = this.#lane.deps;
    const { response } = answer;
    this.#letGo = [response.hold(), queued.hold(bytes)];
    if (response.body !== undefined) this.#letGo.push(queued.hold(response.body));
    this.#stall.begin();
    this.#lane.waits(this);
  }

  readonly #onTaken = (error?: Error | null): void => this.#settle(!error && !this.socket.destroyed);

  #settle(complete: boolean): void {
    const answer = this.#answer;
    if (answer === undefined) return;
    this.#answer = undefined;
    this.#stall.end();
    for (const letGo of this.#letGo) letGo();
    this.#letGo = [];
    // Nobody has said that this connection ends, as an answer of node:http's would have.
    if (complete && this.#lane.closed && !this.connection.busy) this.socket.end();
    this.#lane.over(this, answer, complete);
    this.#lane.waited(this);
  }
}

/** Whether the request ends where its head does, and node:http has seen so. */
function isComplete(request: IncomingMessage): boolean {
  return request.complete && !hasBody(request);
}

function endsWithEmptyLine(chunk: Buffer): boolean {
  const { length } = chunk;
  return (
    length >= 4 &&
    chunk[length - 4] === 0x0d &&
    chunk[length - 3] === 0x0a &&
    chunk[length - 2] === 0x0d &&
    chunk[length - 1] === 0x0a
  );
}
