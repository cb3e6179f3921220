import type { Socket } from 'node:net';
import { LentMemory } from './lent-memory.ts';

/** Who takes a body past the parser. Calls are synchronous. */
export interface LineReceiver {
  received(chunk: Uint8Array): void;
  complete(): void;
}

/** For what goes to the parser. */
const scratchBytes = 64 * 1024;
/** What is less is copied, so that the memory is at once there for the next. */
const copiedBytes = 16 * 1024;

/**
 * One connection without TLS, on which a large body can be received past the HTTP parser, into memory that is used again:
 * fewer and larger reads, no copy for the parser, nothing to collect.
 *
 * Invariants
 * - Before `take` every byte goes into the socket's stream, as if this were not here. After it none does: the parser waits
 *   for a body that it will never see, so the connection has to be destroyed in the end, and serves no other request.
 * - `take` comes while the parser is paused right before the body: what it had of it already is in the stream, and is the
 *   body's first bytes.
 * - Exactly the body's bytes are handed on. Whatever follows them is dropped, with the connection.
 * - It is read from only while there is memory that nobody refers to, and nobody wants a pause.
 * - That it ended or failed is told by the socket, to whom it was told before: this only receives.
 */
export class PlainLine {
  /** For `net.connect`. */
  readonly onread: { buffer: () => Uint8Array; callback: (bytes: number, buffer: Uint8Array) => boolean };
  #socket: Socket | undefined;
  #scratch: Buffer = Buffer.allocUnsafeSlow(scratchBytes);
  #receiver: LineReceiver | undefined;
  #memory: LentMemory | undefined;
  #missingBytes = 0;
  #isPaused = false;
  #isStopped = false;

  constructor() {
    this.onread = {
      buffer: () => this.#memory?.space ?? this.#scratch,
      callback: (bytes, buffer) => this.#onRead(bytes, buffer),
    };
  }

  connected(socket: Socket): void {
    this.#socket = socket;
  }

  /** Once, and while it is connected. */
  get canBeTaken(): boolean {
    return this.#socket?.destroyed === false && this.#receiver === undefined;
  }

  /**
   * Hands the body of `bodyBytes` to `receiver` from now on; what is here already, before it returns. What it is handed is lent:
   * it is to be given back by the function returned, in order, so many bytes at a time.
   */
  take(bodyBytes: number, receiver: LineReceiver): (bytes: number) => void {
    const memory = new LentMemory();
    this.#receiver = receiver;
    this.#memory = memory;
    this.#missingBytes = bodyBytes;
    const here: Uint8Array | null = this.#socket?.read() ?? null;
    if (here !== null) this.#copy(here, memory);
    return (bytes) => {
      memory.giveBack(bytes);
      this.#readOn();
    };
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#readOn();
  }

  #onRead(bytes: number, buffer: Uint8Array): boolean {
    const memory = this.#memory;
    if (memory === undefined) return this.#toParser(bytes, buffer);
    // The last read that was begun before.
    if (buffer === this.#scratch) this.#copy(buffer.subarray(0, bytes), memory);
    else this.#handOn(memory.lend(bytes));
    this.#isStopped = this.#mustStop;
    return !this.#isStopped;
  }

  #toParser(bytes: number, buffer: Uint8Array): boolean {
    const part = buffer.subarray(0, bytes);
    if (bytes <= copiedBytes) return this.#socket?.push(Buffer.from(part)) ?? true;
    this.#scratch = Buffer.allocUnsafeSlow(scratchBytes);
    return this.#socket?.push(part) ?? true;
  }

  #copy(bytes: Uint8Array, memory: LentMemory): void {
    for (let at = 0; at < bytes.length; ) {
      const { space } = memory;
      const part = bytes.subarray(at, at + space.length);
      space.set(part);
      at += part.length;
      this.#handOn(memory.lend(part.length));
    }
  }

  #handOn(chunk: Uint8Array): void {
    const receiver = this.#receiver;
    const wanted = chunk.length > this.#missingBytes ? chunk.subarray(0, this.#missingBytes) : chunk;
    if (receiver === undefined || wanted.length === 0) return;
    this.#missingBytes -= wanted.length;
    receiver.received(wanted);
    if (this.#missingBytes === 0) receiver.complete();
  }

  get #mustStop(): boolean {
    return this.#isPaused || this.#memory?.isShort === true;
  }

  #readOn(): void {
    if (!this.#isStopped || this.#mustStop) return;
    this.#isStopped = false;
    this.#socket?.resume();
  }
}
