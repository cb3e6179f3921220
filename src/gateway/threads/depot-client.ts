import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../../core/clock.ts';
import type { AppError } from '../../core/errors.ts';
import { FillMark } from '../../core/fill-mark.ts';
import type {
  BlobAnswer,
  BlobRequest,
  Depot,
  HitLog,
  HitNote,
  ListAnswer,
  ManifestAnswer,
  ManifestRequest,
  ReferrersRequest,
  TagsRequest,
} from '../../pull/depot.ts';
import { FillWatch, type FillWatchDeps } from './fill-watch.ts';
import {
  type Answer,
  type BodyState,
  errorOf,
  type FromDepot,
  plainError,
  type Question,
  type SharedPart,
  type ToDepot,
} from './messages.ts';
import { type BodyLine, RemoteBody } from './remote-body.ts';

export interface DepotClientDeps {
  readonly clock: Clock;
}

type About = Answer['about'];
type AnswerAbout<A extends About> = Extract<Answer, { about: A }>;

interface Call {
  readonly answered: (answer: Answer) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * The depot, for a gateway in another thread.
 *
 * Invariants
 * - A call is listed until its answer has come or its signal has aborted. Who aborts is told so at once, and the depot by a
 *   message; an answer that comes all the same is dropped, the body that it brings closed.
 * - What is shared by several bodies (the watch over a fill, memory) is there while one of them uses it.
 * - If this thread dies, the depot's side lets go of all that it held (`DepotHost`).
 */
export class DepotClient implements Depot, HitLog, BodyLine {
  readonly #clock: Clock;
  readonly #port: MessagePort;
  readonly #calls = new Map<number, Call>();
  readonly #watches = new Map<number, { readonly watch: FillWatch; followers: number }>();
  readonly #memories = new Map<number, WeakRef<SharedArrayBuffer>>();
  readonly #forgotten: FinalizationRegistry<number>;
  readonly #watchDeps: FillWatchDeps;
  #lastCall = 0;

  constructor({ clock }: DepotClientDeps, port: MessagePort) {
    this.#clock = clock;
    this.#port = port;
    this.#watchDeps = { clock, tell: (at) => this.#post({ kind: 'sleeps', at }) };
    this.#forgotten = new FinalizationRegistry((id) => {
      if (this.#memories.get(id)?.deref() === undefined) this.#memories.delete(id);
    });
    port.on('message', (message: FromDepot) => this.#onMessage(message));
  }

  async manifest(request: ManifestRequest, signal: AbortSignal): Promise<ManifestAnswer> {
    return (await this.#ask('manifest', { about: 'manifest', request }, signal)).manifest;
  }

  async blob(request: BlobRequest, signal: AbortSignal): Promise<BlobAnswer> {
    const call = ++this.#lastCall;
    const { blob } = await this.#ask('blob', { about: 'blob', request }, signal, call);
    if (blob.kind !== 'body') return blob;
    const { kind, sizeBytes, part, served, lease, state } = blob;
    return { kind, sizeBytes, part, served, lease, body: new RemoteBody(this, call, state) };
  }

  async tags(request: TagsRequest, signal: AbortSignal): Promise<ListAnswer> {
    return (await this.#ask('list', { about: 'tags', request }, signal)).list;
  }

  async referrers(request: ReferrersRequest, signal: AbortSignal): Promise<ListAnswer> {
    return (await this.#ask('list', { about: 'referrers', request }, signal)).list;
  }

  async repositories(after: string | undefined, limit: number): Promise<{ names: readonly string[]; more: boolean }> {
    const question: Question = { about: 'repositories', after, limit };
    const { names, more } = await this.#ask('repositories', question, undefined);
    return { names, more };
  }

  noteHits(notes: readonly HitNote[]): void {
    this.#post({ kind: 'hits', notes });
  }

  // --- what bodies need (BodyLine) ---------------------------------------------------------------------------------

  async readable(body: number, offset: number, maxBytes: number, signal: AbortSignal): Promise<BodyState> {
    return (await this.#ask('body', { about: 'readable', body, offset, maxBytes }, signal)).state;
  }

  async unreadable(body: number, offset: number, error: AppError, signal: AbortSignal): Promise<BodyState> {
    return (await this.#ask('body', { about: 'unreadable', body, offset, error: plainError(error) }, signal)).state;
  }

  close(body: number): void {
    this.#post({ kind: 'close', body });
  }

  watch({ id, buffer }: SharedPart): FillWatch {
    let entry = this.#watches.get(id);
    if (entry === undefined) {
      entry = { watch: new FillWatch(this.#watchDeps, new FillMark(buffer)), followers: 0 };
      this.#watches.set(id, entry);
    }
    entry.followers++;
    return entry.watch;
  }

  leave({ id }: SharedPart): void {
    const entry = this.#watches.get(id);
    if (entry !== undefined && --entry.followers === 0) this.#watches.delete(id);
  }

  memory({ id, buffer }: SharedPart): SharedArrayBuffer {
    const known = this.#memories.get(id)?.deref();
    if (known !== undefined) return known;
    this.#memories.set(id, new WeakRef(buffer));
    this.#forgotten.register(buffer, id);
    return buffer;
  }

  now(): number {
    return this.#clock.monotonic();
  }

  // --- calls -------------------------------------------------------------------------------------------------------

  #ask<A extends About>(
    about: A,
    question: Question,
    signal: AbortSignal | undefined,
    call: number = ++this.#lastCall,
  ): Promise<AnswerAbout<A>> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#calls.delete(call);
        this.#post({ kind: 'abort', call, reason: plainError(signal?.reason) });
        reject(signal?.reason);
      };
      const over = () => signal?.removeEventListener('abort', onAbort);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#calls.set(call, {
        answered(answer) {
          over();
          if (isAbout(answer, about)) resolve(answer);
          else reject(new Error(`asked for ${about}, answered ${answer.about}`));
        },
        failed(error) {
          over();
          reject(error);
        },
      });
      this.#post({ kind: 'ask', call, question });
    });
  }

  #onMessage(message: FromDepot): void {
    const call = this.#calls.get(message.call);
    this.#calls.delete(message.call);
    if (message.kind === 'failed') return call?.failed(errorOf(message.error));
    const { answer } = message;
    if (call !== undefined) call.answered(answer);
    else if (answer.about === 'blob' && answer.blob.kind === 'body') this.close(message.call);
  }

  #post(message: ToDepot): void {
    this.#port.postMessage(message);
  }
}

function isAbout<A extends About>(answer: Answer, about: A): answer is AnswerAbout<A> {
  return answer.about === about;
}
