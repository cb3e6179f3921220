import type { Clock, Timer } from '../../core/clock.ts';
import type { AppError } from '../../core/errors.ts';
import type { Channels } from '../../telemetry/channels.ts';
import { errnoOf, foreseen, reasonOf } from './storage-error.ts';

/** `memory-catalog`: the catalog is not on disk; that stands until the next start. */
export type Trouble = 'full' | 'failing' | 'catalog' | 'memory-catalog' | 'index';

export interface StoreHealthDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  /** Finds out whether a trouble is over: resolves if it is, rejects while it is not. */
  readonly probe: (trouble: Trouble) => Promise<void>;
}

const words: Readonly<Record<Trouble, string>> = {
  full: 'the disk is full',
  failing: 'the disk fails',
  catalog: 'the catalog cannot be used',
  'memory-catalog': 'the catalog is in memory until the next start',
  index: 'index.json cannot be written',
};

/** What is attempted where a trouble shows up. */
const uses: Readonly<Record<Trouble, string>> = {
  full: 'write to the disk',
  failing: 'use the disk',
  catalog: 'use the catalog',
  'memory-catalog': 'open the catalog',
  index: 'write index.json',
};

const probeEveryMs = 10_000;
const silentForMs = 60_000;

interface Standing {
  readonly reason: string;
  /** Whether the operator was told of it, and so is to be told of its end. */
  readonly isSaid: boolean;
}

/**
 * What is wrong with the disk while the store goes on as well as it can.
 *
 * Invariants: a trouble stands from its first failure until something that it prevented works again: a use that succeeds,
 * or a probe, which is made every few seconds while it stands. It is said when it begins and when it is over, but at most
 * once a minute: a disk that is full now and then fills no log.
 */
export class StoreHealth implements AsyncDisposable {
  readonly #deps: StoreHealthDeps;
  readonly #standing = new Map<Trouble, Standing>();
  readonly #saidAtMs = new Map<Trouble, number>();
  #timer: Timer | undefined;
  #probing: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(deps: StoreHealthDeps) {
    this.#deps = deps;
  }

  /** What is wrong now, in words. Empty: nothing that is known. */
  reasons(): string[] {
    return [...this.#standing].map(([trouble, { reason }]) => `${words[trouble]}: ${reason}`);
  }

  failed(trouble: Trouble, error: unknown): void {
    if (this.#standing.has(trouble)) return;
    const nowMs = this.#deps.clock.monotonic();
    const isSaid = nowMs - (this.#saidAtMs.get(trouble) ?? Number.NEGATIVE_INFINITY) >= silentForMs;
    const reason = reasonOf(error);
    this.#standing.set(trouble, { reason, isSaid });
    this.#probeLater();
    if (!isSaid) return;
    this.#saidAtMs.set(trouble, nowMs);
    const message = `${words[trouble]}: ${reason}`;
    this.#deps.channels.notice.publish({ level: 'error', message, error: foreseen(error, uses[trouble]) });
  }

  worked(trouble: Trouble): void {
    const standing = this.#standing.get(trouble);
    if (standing === undefined) return;
    this.#standing.delete(trouble);
    if (this.#standing.size === 0) this.#stopTimer();
    if (!standing.isSaid) return;
    this.#deps.channels.notice.publish({ level: 'info', message: `it is over that ${words[trouble]}` });
  }

  /** What a failure of the store's says about the disk. One of our own making (content that is too large) says nothing. */
  noteFailure(error: AppError): void {
    const isOfSystem = errnoOf(error.cause) !== undefined;
    if (error.code === 'OVERLOADED') this.#deps.channels.refused.publish({ bound: 'descriptors' });
    else if (error.code === 'STORAGE_FULL' && isOfSystem) this.failed('full', error.cause);
    else if (error.code === 'STORAGE_FAILED' && isOfSystem) this.failed('failing', error.cause);
  }

  /** Bytes went to disk, so it does not fail; a full one may well take some. Costs nothing where all is well. */
  noteWrite(): void {
    if (this.#standing.size > 0) this.worked('failing');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#stopTimer();
    await this.#probing;
  }

  #probeLater(): void {
    if (this.#isStopped) return;
    this.#timer ??= this.#deps.clock.after(probeEveryMs, () => {
      this.#timer = undefined;
      this.#probing = this.#probeAll();
    });
  }

  async #probeAll(): Promise<void> {
    for (const trouble of [...this.#standing.keys()]) {
      try {
        await this.#deps.probe(trouble);
        this.worked(trouble);
      } catch {
        // It stands: the next probe is due below.
      }
    }
    if (this.#standing.size > 0) this.#probeLater();
  }

  #stopTimer(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }
}
