import type { MessagePort } from 'node:worker_threads';
import { AppError } from '../../core/errors.ts';
import type { BlobAnswer, BlobBody, BlobRequest, Depot, HitLog, ListAnswer, ManifestAnswer } from '../../pull/depot.ts';
import {
  type Answer,
  type BodyState,
  errorOf,
  type FromDepot,
  type PlainStorage,
  plainError,
  type Question,
  type SharedPart,
  type ToDepot,
} from './messages.ts';

export interface DepotHostDeps {
  readonly depot: Depot;
  /** Undefined: nobody wants to know. */
  readonly hits: HitLog | undefined;
  /** Shared by all hosts. */
  readonly parts: SharedParts;
}

/** What crossed an answer can be given up: its buffers, which change hands. */
interface Reply {
  readonly answer: Answer;
  readonly transfer: ArrayBuffer[];
}

/**
 * Serves the calls of one gateway's thread to the depot.
 *
 * Invariants
 * - A call that is aborted, or whose thread is gone, is answered to nobody; a body that it still brings is closed.
 * - A body is listed from its answer until it is closed, by its thread or with the host: whatever becomes of the thread, a
 *   crash included, `dispose` lets all of it go.
 * - Of one body at most one call is under way at a time, as of every `BlobBody`: the thread sees to it.
 */
export class DepotHost implements Disposable {
  readonly #deps: DepotHostDeps;
  readonly #port: MessagePort;
  readonly #calls = new Map<number, AbortController>();
  readonly #bodies = new Map<number, BlobBody>();
  #isOver = false;

  constructor(deps: DepotHostDeps, port: MessagePort) {
    this.#deps = deps;
    this.#port = port;
    port.on('message', (message: ToDepot) => this.#onMessage(message));
  }

  /** Calls that wait for their answer, and bodies that are open. */
  get held(): { readonly calls: number; readonly bodies: number } {
    return { calls: this.#calls.size, bodies: this.#bodies.size };
  }

  [Symbol.dispose](): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#port.close();
    const reason = new AppError('CANCELLED', 'the gateway has gone');
    for (const call of this.#calls.values()) call.abort(reason);
    this.#calls.clear();
    for (const body of this.#bodies.values()) body.close();
    this.#bodies.clear();
  }

  #onMessage(message: ToDepot): void {
    if (this.#isOver) return;
    switch (message.kind) {
      case 'ask':
        return void this.#serve(message.call, message.question);
      case 'abort':
        return this.#calls.get(message.call)?.abort(errorOf(message.reason));
      case 'close':
        return this.#close(message.body);
      case 'sleeps':
        for (const [body, offset] of message.at) this.#bodies.get(body)?.sleepsAt?.(offset);
        return;
      case 'hits':
        return this.#deps.hits?.noteHits(message.notes);
    }
  }

  #close(id: number): void {
    this.#bodies.get(id)?.close();
    this.#bodies.delete(id);
  }

  /** Never rejects. */
  async #serve(call: number, question: Question): Promise<void> {
    const controller = new AbortController();
    this.#calls.set(call, controller);
    const { signal } = controller;
    try {
      const { answer, transfer } = await this.#reply(call, question, signal);
      if (!signal.aborted) this.#post({ kind: 'answer', call, answer }, transfer);
      else if (question.about === 'blob') this.#close(call);
    } catch (error) {
      if (!signal.aborted) this.#post({ kind: 'failed', call, error: plainError(error) });
    } finally {
      this.#calls.delete(call);
    }
  }

  async #reply(call: number, question: Question, signal: AbortSignal): Promise<Reply> {
    const { depot } = this.#deps;
    switch (question.about) {
      case 'manifest':
        return manifestReply(await depot.manifest(question.request, signal));
      case 'blob':
        return this.#blobReply(call, question.request, signal);
      case 'tags':
        return listReply(await depot.tags(question.request, signal));
      case 'referrers':
        return listReply(await depot.referrers(question.request, signal));
      case 'repositories': {
        const page = await depot.repositories(question.after, question.limit);
        return { answer: { about: 'repositories', ...page }, transfer: [] };
      }
      case 'readable':
        return this.#readableReply(this.#body(question.body), question.offset, question.maxBytes, signal);
      case 'unreadable': {
        const body = this.#body(question.body);
        await body.unreadable(question.offset, errorOf(question.error), signal);
        // What it has now is asked for when it is wanted.
        const { state, transfer } = this.#state(body, question.offset, question.offset, 0);
        return { answer: { about: 'body', state }, transfer };
      }
    }
  }

  async #blobReply(call: number, request: BlobRequest, signal: AbortSignal): Promise<Reply> {
    const answer: BlobAnswer = await this.#deps.depot.blob(request, signal);
    if (answer.kind !== 'body') return { answer: { about: 'blob', blob: answer }, transfer: [] };
    const { body, sizeBytes, part, served, lease } = answer;
    if (signal.aborted) {
      body.close();
      throw signal.reason;
    }
    this.#bodies.set(call, body);
    const { state, transfer } = this.#state(body, body.start, readableNow(body), 0);
    const blob = { kind: 'body', sizeBytes, part, served, lease, state } as const;
    return { answer: { about: 'blob', blob }, transfer };
  }

  async #readableReply(body: BlobBody, offset: number, maxBytes: number, signal: AbortSignal): Promise<Reply> {
    for (;;) {
      const readable = await body.whenReadable(offset, signal);
      const { state, transfer } = this.#state(body, offset, readable, maxBytes);
      // Of a window it may have gone again since it was said to be there.
      if (readable === offset || state.readable > offset) return { answer: { about: 'body', state }, transfer };
    }
  }

  /** `maxBytes` 0: nothing is taken out of a window. */
  #state(body: BlobBody, from: number, readable: number, maxBytes: number) {
    const { start, end } = body;
    const none = { start, end, from, readable: from, storage: undefined, mark: undefined };
    if (readable <= from) return { state: none, transfer: [] };
    const { storage, mark } = body;
    if (storage.kind === 'file') {
      const { fd, fileId, sizeBytes } = storage;
      const plain: PlainStorage = { kind: 'file', fd, fileId, sizeBytes };
      return { state: { ...none, readable, storage: plain, mark: this.#part(mark?.shared) }, transfer: [] };
    }
    const { buffer } = storage.kind === 'memory' ? storage.bytes : { buffer: undefined };
    if (storage.kind === 'memory' && buffer instanceof SharedArrayBuffer) {
      const { byteOffset, length } = storage.bytes;
      const plain: PlainStorage = { kind: 'shared', memory: this.#deps.parts.part(buffer), start: byteOffset, length };
      return { state: { ...none, readable, storage: plain, mark: this.#part(mark?.shared) }, transfer: [] };
    }
    if (storage.kind === 'window' && maxBytes === 0) return { state: none, transfer: [] };
    const bytes =
      storage.kind === 'memory'
        ? new Uint8Array(storage.bytes.subarray(from, readable))
        : copyOf(storage.window, from, Math.min(readable - from, maxBytes));
    const state: BodyState = { ...none, readable: from + bytes.length, storage: { kind: 'bytes', bytes } };
    return { state, transfer: [bytes.buffer] };
  }

  #part(buffer: SharedArrayBuffer | undefined): SharedPart | undefined {
    return buffer === undefined ? undefined : this.#deps.parts.part(buffer);
  }

  #body(id: number): BlobBody {
    const body = this.#bodies.get(id);
    if (body === undefined) throw new AppError('CANCELLED', 'the body is closed');
    return body;
  }

  #post(message: FromDepot, transfer: ArrayBuffer[] = []): void {
    if (!this.#isOver) this.#port.postMessage(message, transfer);
  }
}

/** Numbers for what is shared, so that another thread knows it again. */
export class SharedParts {
  readonly #ids = new WeakMap<SharedArrayBuffer, number>();
  #lastId = 0;

  part(buffer: SharedArrayBuffer): SharedPart {
    const id = this.#ids.get(buffer) ?? ++this.#lastId;
    this.#ids.set(buffer, id);
    return { id, buffer };
  }
}

/** What it fails of is told to whoever waits for more. */
function readableNow(body: BlobBody): number {
  try {
    return body.readableTo(body.start);
  } catch {
    return body.start;
  }
}

function copyOf(window: { read(offset: number, into: Uint8Array): number }, from: number, maxBytes: number) {
  const bytes = new Uint8Array(maxBytes);
  const count = window.read(from, bytes);
  return count === bytes.length ? bytes : bytes.slice(0, count);
}

/** The bytes are the depot's: what crosses is a copy, of these alone and not of the memory around them. */
function manifestReply(manifest: ManifestAnswer): Reply {
  const { bytes } = manifest;
  if (bytes === undefined || bytes.buffer instanceof SharedArrayBuffer) {
    return { answer: { about: 'manifest', manifest }, transfer: [] };
  }
  const copy = new Uint8Array(bytes);
  return { answer: { about: 'manifest', manifest: { ...manifest, bytes: copy } }, transfer: [copy.buffer] };
}

function listReply(list: ListAnswer): Reply {
  const body = new Uint8Array(list.body);
  return { answer: { about: 'list', list: { ...list, body } }, transfer: [body.buffer] };
}
