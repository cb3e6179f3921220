import { giveBack, piecesLength, slicePieces } from '../core/byte-pieces.ts';
import type { FillBody } from './fill-body.ts';

/** What is gathered while a write is under way: more waits in the connection. Of TLS a record brings 16 KiB at most. */
const gatheredBytes = 1024 * 1024;
const gatheredChunks = 64;

/** What a writer tells its feed, and asks of it. Calls are synchronous. */
export interface FeedWriterHost {
  /** No byte from here on is wanted. */
  readonly limit: number;
  /** Resolves when another feed has written what it is writing between `start` and `end`; undefined where none is. */
  writtenByOthers(start: number, end: number): Promise<void> | undefined;
  /** Bytes were written; readers may go on. */
  wrote(offset: number, end: number): void;
  /** All up to `position` is there, or not wanted. */
  reached(): void;
  /** Nothing is left to write, for now. */
  idle(): void;
  failed(error: unknown): void;
}

/**
 * Puts the chunks of one feed, which follow each other, where they belong in the body.
 *
 * Invariants
 * - What comes is written at once where no write is under way; what comes meanwhile is gathered, within a bound that its feed
 *   keeps (`isFull`), and written together by the next one. So one write is under way at most, in the order of the bytes.
 * - Bytes that are already there are never written again, nor those that another feed is just writing.
 * - After `stop` nothing is written but what is under way, which `stopped` waits for.
 * - A chunk's memory is given back when it is written or skipped; of one whose write failed, or never came, it is not.
 */
export class FeedWriter {
  readonly #body: FillBody;
  readonly #host: FeedWriterHost;
  /** All before it is written or was skipped. */
  #position = 0;
  #cameTo = 0;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  /** Resolves when what is gathered is about to be written, or never will be. */
  #room: PromiseWithResolvers<void> | undefined;
  /** Writes what is gathered, until nothing is. Never rejects. */
  #drain: Promise<void> | undefined;
  #writing: Promise<void> | undefined;
  #writeStart = 0;
  /** `#writeStart` while nothing is being written. */
  #writeEnd = 0;
  #isStopped = false;
  #giveBack: (chunk: Uint8Array) => void = giveBack;

  constructor(body: FillBody, host: FeedWriterHost, start: number) {
    this.#body = body;
    this.#host = host;
    this.begin(start);
  }

  /** The first chunk stands here. `give`: takes back the memory of each, in their order. */
  begin(position: number, give: (chunk: Uint8Array) => void = giveBack): void {
    this.#giveBack = give;
    this.#position = position;
    this.#cameTo = position;
  }

  get position(): number {
    return this.#position;
  }

  /** Where what came ends; `position` follows it. */
  get cameTo(): number {
    return this.#cameTo;
  }

  /** No more should come before there is room. */
  get isFull(): boolean {
    return this.#gatheredBytes >= gatheredBytes || this.#gathered.length >= gatheredChunks;
  }

  /** The next chunk; its memory is the writer's from now on. */
  add(chunk: Uint8Array): void {
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    this.#cameTo += chunk.length;
    this.#drain ??= this.#drainAll()
      .catch((error) => this.#host.failed(error))
      .then(() => {
        this.#drain = undefined;
        if (!this.#isStopped) this.#host.idle();
      });
  }

  untilRoom(): Promise<void> {
    this.#room = Promise.withResolvers();
    return this.#room.promise;
  }

  /** Resolves when all that came is written, or nothing more is. */
  async drained(): Promise<void> {
    await this.#drain;
  }

  /** Resolves when what is being written between `start` and `end` is; undefined where nothing is. */
  writing(start: number, end: number): Promise<void> | undefined {
    return this.#writeStart < end && start < this.#writeEnd ? this.#writing?.catch(() => {}) : undefined;
  }

  /** Begins no further write. */
  stop(): void {
    this.#isStopped = true;
    this.#room?.resolve();
  }

  /** Resolves when nothing is being written any more. After `stop`. */
  async stopped(): Promise<void> {
    await this.#writing?.catch(() => {});
  }

  async #drainAll(): Promise<void> {
    while (this.#gathered.length > 0 && !this.#isStopped) {
      const chunks = this.#gathered;
      const bytes = this.#gatheredBytes;
      this.#gathered = [];
      this.#gatheredBytes = 0;
      this.#room?.resolve();
      await this.#take(chunks, bytes);
      this.#host.reached();
    }
  }

  /** Writes what is missing of `chunks`, of which the first stands at the present position. */
  async #take(chunks: readonly Uint8Array[], bytes: number): Promise<void> {
    const at = this.#position;
    const limit = Math.min(at + bytes, this.#host.limit);
    const { filled } = this.#body;
    // Whatever was awaited, another feed may have written meanwhile: each step looks at what is missing now.
    for (let from = filled.endFrom(at); from < limit && !this.#isStopped; from = filled.endFrom(from)) {
      const end = Math.min(filled.nextFrom(from) ?? limit, limit);
      const others = this.#host.writtenByOthers(from, end);
      if (others !== undefined) await others;
      else await this.#write(slicePieces(chunks, from - at, end - at), from);
    }
    this.#position = at + bytes;
    for (const chunk of chunks) this.#giveBack(chunk);
  }

  async #write(bytes: readonly Uint8Array[], offset: number): Promise<void> {
    const end = offset + piecesLength(bytes);
    this.#writing = this.#body.storage.write(bytes, offset);
    this.#writeStart = offset;
    this.#writeEnd = end;
    try {
      await this.#writing;
    } finally {
      this.#writeEnd = this.#writeStart;
    }
    // What is written counts even if the feed was stopped meanwhile: it is there.
    this.#body.wrote(offset, bytes);
    this.#host.wrote(offset, end);
  }
}
