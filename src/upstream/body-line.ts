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
/** What is less waits for the rest of the event loop's turn: of TLS each record comes for itself. */
const handedOnBytes = 64 * 1024;

/**
 * One connection, on which a large body can be received past the HTTP parser, into memory that is used again: larger reads, no
 * stream, no copy for the parser, nothing to collect.
 *
 * Invariants
 * - Before `take` every byte goes into the socket's stream, as if this were not here. After it none does: the parser waits
 *   for a body that it will never see, so the connection has to be destroyed in the end, and serves no other request.
 * - `take` comes while the parser is paused right before the body: what it had of it already is in the stream, and is the
 *   body's first bytes.
 * - Exactly the body's bytes are handed on. Whatever follows them is dropped, with the connection.
 * - It is read from only while there is memory that nobody refers to, and nobody wants a pause. What TLS has decrypted by
 *   then comes all the same, which is less than the memory that is kept for it.
 * - That it ended or failed is told by the socket, to whom it was told before: who hears of it calls `flush` first.
 */
export class BodyLine {
  /** For `net.connect` and `tls.connect`. */
  readonly onread: { buffer: () => Uint8Array; callback: (bytes: number, buffer: Uint8Array) => boolean };
  #socket: Socket | undefined;
  #scratch: Buffer = Buffer.allocUnsafeSlow(scratchBytes);
  #receiver: LineReceiver | undefined;
  #memory: LentMemory | undefined;
  #missingBytes = 0;
  #isPaused = false;
  #isStopped = false;
  #flushes = false;

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

  /** Hands on what has come. */
  flush(): void {
    if (this.#memory !== undefined && this.#memory.waitingBytes > 0) this.#handOn(this.#memory.lend());
  }

  #onRead(bytes: number, buffer: Uint8Array): boolean {
    const memory = this.#memory;
    if (memory === undefined) return this.#toParser(bytes, buffer);
    if (buffer === this.#scratch) {
      // The last read that was begun before.
      this.#copy(buffer.subarray(0, bytes), memory);
    } else {
      memory.fill(bytes);
      this.#filled(memory);
    }
    // Once it is stopped it stays so until `#readOn`, whatever still comes.
    if (this.#mustStop) this.#isStopped = true;
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
      memory.fill(part.length);
      this.#filled(memory);
    }
  }

  #filled(memory: LentMemory): void {
    const { waitingBytes } = memory;
    if (memory.isFull || waitingBytes >= handedOnBytes || waitingBytes >= this.#missingBytes) return this.flush();
    if (this.#flushes) return;
    this.#flushes = true;
    setImmediate(this.#onTurnEnd);
  }

  readonly #onTurnEnd = (): void => {
    this.#flushes = false;
    this.flush();
  };

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
