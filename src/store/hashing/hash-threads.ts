import { algorithmOf, type Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { ContentHash, ContentHasher } from '../content-hasher.ts';
import type { HashReport } from './hash-messages.ts';
import type { HashThread, HashThreadListener } from './hash-thread.ts';
import { InlineHasher } from './inline-hasher.ts';
import { endsEarly, unreadable } from './unreadable.ts';

export interface HashThreadsDeps {
  readonly start: (listener: HashThreadListener) => HashThread;
  /** A thread ended that nobody had stopped. */
  readonly crashed: (error: unknown) => void;
}

export interface HashThreadsOptions {
  /** Threads at once, at most. */
  readonly maxThreads: number;
}

/** Hashed in one go: little enough to be waited for by who wants to stop, or to have its turn. */
const stepBytes = 8 * 1024 * 1024;
/** A hash that saw so many threads end goes on here: something is wrong with threads, and nothing with the content. */
const maxCrashes = 2;

/** A thread, and whose answers it owes. */
interface Crew {
  readonly thread: HashThread;
  readonly waiting: Map<number, PromiseWithResolvers<HashReport>>;
  /** Hashes that it knows. */
  hashes: number;
}

/** What a step rejects with when its thread ended. */
class ThreadEnded extends Error {}

/**
 * Hashes in threads, which read the files themselves: no byte goes from thread to thread, and a step costs one message there
 * and one back, however much it is.
 *
 * Invariants
 * - A thread is started when there is none without a hash, up to `maxThreads`; a hash stays with its thread, which holds its
 *   state. At most one step of a hash is under way.
 * - Each step is answered, or its thread has ended, and with it all reading of the file. A hash whose thread ended begins anew,
 *   from byte 0 of the file, in another thread or at last here: so it never fails of a thread, and what was hashed by one is
 *   never mixed with what another hashed.
 * - After `asyncDispose` there is no thread, and every call rejects with SHUTTING_DOWN. A crash of the process leaves nothing.
 */
export class HashThreads implements ContentHasher, AsyncDisposable {
  readonly #deps: HashThreadsDeps;
  readonly #options: HashThreadsOptions;
  readonly #crews = new Set<Crew>();
  #lastHash = 0;
  #isClosed = false;

  constructor(deps: HashThreadsDeps, options: HashThreadsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Threads at present. */
  get threads(): number {
    return this.#crews.size;
  }

  begin(digest: Digest, fd: number): ContentHash {
    return new ThreadedHash(this, digest, fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#crews].map(({ thread }) => thread.stop()));
  }

  /** A place for one more hash, in the thread that has fewest; undefined where the system gives us no thread. */
  place(): { readonly crew: Crew; readonly hash: number } | undefined {
    if (this.#isClosed) throw shuttingDown();
    let crew: Crew | undefined;
    for (const other of this.#crews) if (crew === undefined || other.hashes < crew.hashes) crew = other;
    if (crew === undefined || (crew.hashes > 0 && this.#crews.size < this.#options.maxThreads))
      crew = this.#start() ?? crew;
    if (crew === undefined) return undefined;
    crew.hashes++;
    return { crew, hash: ++this.#lastHash };
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  #start(): Crew | undefined {
    const waiting: Crew['waiting'] = new Map();
    const listener: HashThreadListener = {
      reported: (report) => {
        const waiter = waiting.get(report.hash);
        waiting.delete(report.hash);
        waiter?.resolve(report);
      },
      ended: (error) => {
        this.#crews.delete(crew);
        if (!this.#isClosed) this.#deps.crashed(error);
        for (const waiter of waiting.values()) waiter.reject(new ThreadEnded());
        waiting.clear();
      },
    };
    let crew: Crew;
    try {
      crew = { thread: this.#deps.start(listener), waiting, hashes: 0 };
    } catch (error) {
      this.#deps.crashed(error);
      return undefined;
    }
    this.#crews.add(crew);
    return crew;
  }

  /** Whether its thread still runs. */
  has(crew: Crew): boolean {
    return this.#crews.has(crew);
  }
}

/** Where a hash is, and how far. */
interface Place {
  readonly crew: Crew;
  readonly hash: number;
  at: number;
}

class ThreadedHash implements ContentHash {
  readonly #threads: HashThreads;
  readonly #digest: Digest;
  readonly #fd: number;
  #place: Place | undefined;
  #crashes = 0;
  /** Takes the place of threads that keep ending. */
  #inline: ContentHash | undefined;
  #isEnded = false;
  #stepping: Promise<unknown> = Promise.resolve();

  constructor(threads: HashThreads, digest: Digest, fd: number) {
    this.#threads = threads;
    this.#digest = digest;
    this.#fd = fd;
  }

  async advance(to: number): Promise<void> {
    await this.#reach(to, false);
  }

  async finish(to: number): Promise<Digest> {
    const hex = await this.#reach(to, true);
    return `${algorithmOf(this.#digest)}:${hex}` as Digest;
  }

  async end(): Promise<void> {
    this.#isEnded = true;
    await Promise.all([this.#stepping, this.#inline?.end()]);
    this.#leave(true);
  }

  /** The hex of the digest where `isEnd`. */
  async #reach(to: number, isEnd: boolean): Promise<string | undefined> {
    for (;;) {
      if (this.#isEnded) throw new AppError('CANCELLED', 'the hash is not wanted any more');
      if (this.#inline !== undefined) return this.#reachHere(this.#inline, to, isEnd);
      const place = this.#place ?? this.#begin();
      if (place === undefined) continue;
      const next = Math.min(to, place.at + stepBytes);
      if (next <= place.at && !isEnd) return undefined;
      const report = await this.#step(place, next, isEnd && next === to);
      if (report === undefined) continue;
      if (report.kind !== 'hashed') {
        this.#leave(false);
        throw failureOf(report);
      }
      place.at = next;
      if (next < to) continue;
      if (isEnd) this.#leave(false);
      return report.hex;
    }
  }

  /** Undefined: in no thread, but here. */
  #begin(): Place | undefined {
    const given = this.#threads.place();
    this.#place = given && { ...given, at: 0 };
    if (given === undefined) this.#goOnHere();
    return this.#place;
  }

  #goOnHere(): void {
    this.#inline = new InlineHasher().begin(this.#digest, this.#fd);
  }

  async #reachHere(hash: ContentHash, to: number, isEnd: boolean): Promise<string | undefined> {
    if (!isEnd) return void (await hash.advance(to));
    const digest = await hash.finish(to);
    return digest.slice(digest.indexOf(':') + 1);
  }

  /** Undefined: the thread ended, and the hash begins anew. */
  async #step(place: Place, to: number, isEnd: boolean): Promise<HashReport | undefined> {
    const { crew, hash } = place;
    const reported = Promise.withResolvers<HashReport>();
    if (this.#threads.has(crew)) {
      crew.waiting.set(hash, reported);
      crew.thread.post({ kind: 'step', hash, algorithm: algorithmOf(this.#digest), fd: this.#fd, to, isEnd });
    } else {
      // It ended between two steps.
      reported.reject(new ThreadEnded());
    }
    this.#stepping = reported.promise.catch(() => {});
    try {
      return await reported.promise;
    } catch {
      if (this.#threads.isClosed) throw shuttingDown();
      this.#place = undefined;
      if (++this.#crashes >= maxCrashes) this.#goOnHere();
      return undefined;
    }
  }

  /** @param isKnown whether the thread still has its state */
  #leave(isKnown: boolean): void {
    const place = this.#place;
    if (place === undefined) return;
    this.#place = undefined;
    place.crew.hashes--;
    if (isKnown && this.#threads.has(place.crew)) place.crew.thread.post({ kind: 'forget', hash: place.hash });
  }
}

function failureOf(report: Exclude<HashReport, { kind: 'hashed' }>): AppError {
  if (report.kind === 'short') return endsEarly();
  return unreadable(Object.assign(new Error(report.message), { code: report.code }));
}

function shuttingDown(): AppError {
  return new AppError('SHUTTING_DOWN', 'onepull is shutting down', { retryAfterMs: 1000 });
}
