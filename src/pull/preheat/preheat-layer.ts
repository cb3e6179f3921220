import { type Clock, sleep } from '../../core/clock.ts';
import type { Descriptor } from '../../core/descriptor.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError, asAppError } from '../../core/errors.ts';
import type { Scope } from '../../core/scope.ts';
import type { FlightSnapshot } from '../../flights/flight-snapshot.ts';
import type { ContentStore } from '../../store/content-store.ts';
import type { BlobBody, Depot } from '../depot.ts';
import type { PreheatLayerSnapshot } from './preheat-snapshot.ts';

export interface PreheatLayerDeps {
  readonly clock: Clock;
  readonly depot: Pick<Depot, 'blob'>;
  readonly store: Pick<ContentStore, 'sizeOf' | 'makeRoom' | 'keep'>;
  /** What is wrong with the disk, in words; empty: nothing. */
  readonly troubles: () => readonly string[];
  /** Of the transfer in progress. */
  readonly flights: { snapshot(digest: Digest): FlightSnapshot | undefined };
}

/** The name that a preheat has among the clients of an image. */
export const preheatClient = 'preheat';

const commitPollMs = 50;

/**
 * One blob that is to be here: asked for as a client does, so that it is fetched once for all who want it, and followed to
 * its end without reading a byte of it.
 */
export class PreheatLayer {
  readonly #deps: PreheatLayerDeps;
  readonly #scope: Scope;
  readonly descriptor: Descriptor;
  #state: PreheatLayerSnapshot['state'] = 'waiting';
  #filledBytes = 0;
  #waitingFor: string | undefined;
  #error: string | undefined;

  constructor(deps: PreheatLayerDeps, scope: Scope, descriptor: Descriptor) {
    this.#deps = deps;
    this.#scope = scope;
    this.descriptor = descriptor;
  }

  /** Resolves once it is in the store. */
  async pull(signal: AbortSignal): Promise<void> {
    const { digest, sizeBytes } = this.descriptor;
    this.#state = 'pulling';
    this.#waitingFor = undefined;
    const request = { scope: this.#scope, digest, method: 'GET', range: undefined, client: preheatClient } as const;
    const answer = await this.#deps.depot.blob(request, signal);
    if (answer.kind !== 'body') throw new AppError('INTERNAL', `${digest} came without a body`);
    try {
      await this.#follow(answer.body, signal);
      await this.#whenKept(digest, signal);
    } finally {
      answer.body.close();
    }
    this.#filledBytes = sizeBytes;
    this.#state = 'done';
  }

  /** It was here, and is not any more. */
  lost(error: AppError): void {
    this.#filledBytes = 0;
    this.failed(error);
  }

  failed(error: AppError): void {
    this.#state = 'failed';
    this.#error = error.message;
  }

  /** It is to be tried again; `waitingFor` says what for people. */
  waits(waitingFor: string): void {
    this.#state = 'waiting';
    this.#waitingFor = waitingFor;
    this.#filledBytes = 0;
  }

  cancelled(): void {
    if (this.#state === 'waiting' || this.#state === 'pulling') this.#state = 'cancelled';
  }

  snapshot(): PreheatLayerSnapshot {
    const { digest, mediaType, sizeBytes } = this.descriptor;
    const known = { digest, mediaType, sizeBytes, error: this.#error };
    const flight = this.#state === 'pulling' ? this.#deps.flights.snapshot(digest) : undefined;
    if (flight === undefined || flight.state === 'done' || flight.state === 'failed') {
      const waitingFor = this.#state === 'waiting' ? this.#waitingFor : undefined;
      return { ...known, filledBytes: this.#filledBytes, state: this.#state, waitingFor };
    }
    const filledBytes = Math.min(sizeBytes, Math.max(flight.filledBytes, this.#filledBytes));
    return { ...known, filledBytes, state: flight.state, waitingFor: flight.waitingFor };
  }

  async #follow(body: BlobBody, signal: AbortSignal): Promise<void> {
    for (let offset = body.start; ; ) {
      const readable = await body.whenReadable(offset, signal);
      if (readable === offset) return;
      if (body.storage.kind === 'window') throw notKept(this.descriptor.digest, this.#deps.troubles());
      this.#filledBytes = readable;
      offset = readable;
    }
  }

  /** Its readers have it a moment before the store does. */
  async #whenKept(digest: Digest, signal: AbortSignal): Promise<void> {
    const { clock, flights, store, troubles } = this.#deps;
    for (;;) {
      const isCommitting = flights.snapshot(digest) !== undefined;
      if ((await store.sizeOf(digest)) !== undefined) return;
      if (!isCommitting) throw notKept(digest, troubles());
      await sleep(clock, commitPollMs, signal);
    }
  }
}

/** What may pass if it is tried again, and after what pause; undefined: it is final. */
export function pauseAfter(thrown: unknown, attempt: number): number | undefined {
  const { retryable, retryAfterMs } = asAppError(thrown);
  if (!retryable || attempt >= mostAttempts) return undefined;
  const pauseMs = retryAfterMs ?? 1000 * 2 ** attempt;
  return pauseMs > longestPauseMs ? undefined : pauseMs;
}

const mostAttempts = 5;
const longestPauseMs = 10 * 60_000;

export function notKept(digest: Digest, troubles: readonly string[]): AppError {
  const cause = troubles.length === 0 ? 'what of the cache may leave makes no room for it' : troubles.join('; ');
  const message = `${digest} cannot be kept: ${cause}`;
  return new AppError('STORAGE_FULL', message, { details: { reason: 'preheat' } });
}
