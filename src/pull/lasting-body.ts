import type { Interval } from '../core/byte-range.ts';
import type { DigestVerifier } from '../core/digest.ts';
import { AppError, asAppError } from '../core/errors.ts';
import type { FillMark } from '../core/fill-mark.ts';
import { type HandedOut, reachesHeldBack } from '../flights/passing/pass-reader.ts';
import type { PassThroughEvent } from '../telemetry/channels.ts';
import type { Leg } from './blob-bodies.ts';
import type { BlobBody, BlobStorage } from './depot.ts';

/** Where a body can go on when what it reads of fails. */
export interface BodyWays {
  /** So many bytes at a blob's end are never handed out unverified. */
  readonly holdBackBytes: number;
  /** Whether what the disk cannot take may be streamed through memory. */
  readonly canPass: boolean;
  /** The content is not here, or not any more: fetches it. */
  miss(sizeBytes: number | undefined, range: Interval | undefined, signal: AbortSignal): Promise<Leg>;
  /** Streams it through memory, from after what was handed out. */
  pass(
    cause: PassThroughEvent['cause'],
    sizeBytes: number | undefined,
    range: Interval | undefined,
    handed: HandedOut | undefined,
  ): Leg;
  /** What is read here is damaged: it has to leave the store, if it is what the store has. */
  condemn(storage: BlobStorage, reason: string): Promise<void>;
  /** The hash over what was handed out. */
  handedHash(
    storage: Exclude<BlobStorage, { kind: 'window' }>,
    start: number,
    end: number,
    signal: AbortSignal,
  ): Promise<DigestVerifier>;
}

/**
 * One response's body, whatever becomes of the place that it is read from: content in the store that cannot be read starts
 * over as a miss, a fill whose disk is full or fails goes on through memory. The client notices nothing, unless what it has
 * already cannot be vouched for: then it is cut (P4).
 *
 * Invariants
 * - It reads of one leg at a time, and leaves it only inside `whenReadable`, `unreadable` and `whenSized`: nobody reads of
 *   it then. The leg that is left stays open until what was handed out of it is hashed.
 * - stored ─► flight ─► pass, or any of these skipped: it never goes back, so it ends.
 * - What was handed out is [start, offset of the latest call); a body of which nothing was is free to start over, with
 *   content of the size that the client was told.
 * - `close` may come at any time, also while it changes legs: then the new one is closed as soon as it is there.
 */
export class LastingBody implements BlobBody {
  readonly #waysOn: () => BodyWays;
  readonly #onClose: () => void;
  #leg: Leg;
  #range: Interval | undefined;
  /** The blob's size, as it became known first: the client may have been told. */
  #sizeBytes: number | undefined;
  /** What the leg last said was readable: that much of a fill is there also when it has failed. */
  #readable = 0;
  #isChanging = false;
  #closed = false;

  /** `waysOn`: asked when something has failed, which is seldom. */
  constructor(waysOn: () => BodyWays, leg: Leg, range: Interval | undefined, onClose: () => void) {
    this.#waysOn = waysOn;
    this.#leg = leg;
    this.#range = range;
    this.#sizeBytes = leg.reader.sizeBytes;
    this.#onClose = onClose;
  }

  get start(): number {
    return this.#leg.reader.start;
  }

  get end(): number | undefined {
    return this.#leg.reader.end;
  }

  get sizeBytes(): number | undefined {
    this.#sizeBytes ??= this.#leg.reader.sizeBytes;
    return this.#sizeBytes;
  }

  get storage(): BlobStorage {
    return this.#leg.reader.storage;
  }

  get mark(): FillMark | undefined {
    return this.#leg.kind === 'flight' ? this.#leg.reader.mark : undefined;
  }

  /** The blob's size as soon as a source says it; undefined when one delivers without saying. */
  async whenSized(signal: AbortSignal): Promise<number | undefined> {
    try {
      await this.#leg.reader.whenSized(signal);
    } catch (error) {
      await this.#goOn(this.start, asAppError(error), signal);
      await this.#leg.reader.whenSized(signal);
    }
    return this.sizeBytes;
  }

  /** Takes only a part. Before anything is read. */
  setRange(range: Interval): void {
    this.#range = range;
    this.#leg.reader.setRange(range);
  }

  readableTo(offset: number): number {
    try {
      this.#readable = this.#leg.reader.readableTo(offset);
      return this.#readable;
    } catch (thrown) {
      const error = asAppError(thrown);
      if (!this.#canGoOn(offset, error)) throw error;
      return this.#leg.kind === 'flight' ? Math.max(offset, this.#readable) : offset;
    }
  }

  whenReadable(offset: number, signal: AbortSignal): Promise<number> {
    const waiting = this.#leg.reader.whenReadable(offset, signal);
    return waiting.then(this.#onReadable, (error) => this.#readableLater(offset, asAppError(error), signal));
  }

  readonly #onReadable = (readable: number): number => {
    this.#readable = readable;
    return readable;
  };

  async #readableLater(offset: number, error: AppError, signal: AbortSignal): Promise<number> {
    if (this.#leg.kind === 'flight' && offset < this.#readable && this.#canGoOn(offset, error)) return this.#readable;
    await this.#goOn(offset, error, signal);
    return this.whenReadable(offset, signal);
  }

  async unreadable(offset: number, error: AppError, signal: AbortSignal): Promise<void> {
    const condemned = this.#leg.kind === 'pass' ? undefined : this.#waysOn().condemn(this.storage, error.message);
    // Who starts over must not find it again.
    if (offset === this.start) await condemned;
    await this.#goOn(offset, error, signal, true);
  }

  sleepsAt(offset: number): void {
    if (this.#leg.kind === 'flight' && !this.#closed) this.#leg.reader.sleepsAt(offset);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#isChanging) this.#leg.reader.close();
    this.#onClose();
  }

  /** Whether the rest can be had from elsewhere. `isLocal`: it is this reader that could not read what it should have. */
  #canGoOn(offset: number, error: AppError, isLocal = false): boolean {
    const { canPass } = this.#waysOn();
    const hasNothing = offset === this.start;
    switch (this.#leg.kind) {
      case 'pass':
        return false;
      case 'flight':
        return canPass && passCause(error) !== undefined;
      case 'stored':
        // Content that turned out damaged may have been handed out damaged. What could not be read was not.
        return passCause(error) !== undefined && (hasNothing || (isLocal && canPass));
    }
  }

  async #goOn(offset: number, error: AppError, signal: AbortSignal, isLocal = false): Promise<void> {
    const cause = passCause(error);
    if (cause === undefined || !this.#canGoOn(offset, error, isLocal)) throw error;
    if (this.#closed) throw closed();
    signal.throwIfAborted();
    this.#isChanging = true;
    const left = this.#leg;
    try {
      const leg = await this.#nextLeg(left, offset, cause, error, signal);
      this.#leg = leg;
      this.#readable = offset;
      left.reader.close();
    } finally {
      this.#isChanging = false;
      if (this.#closed) this.#leg.reader.close();
    }
    if (this.#closed) throw closed();
  }

  async #nextLeg(
    left: Leg,
    offset: number,
    cause: PassThroughEvent['cause'],
    error: AppError,
    signal: AbortSignal,
  ): Promise<Leg> {
    const { sizeBytes } = this;
    if (offset > this.start) {
      const handed = await this.#handed(left, offset, error, signal);
      return this.#waysOn().pass(cause, sizeBytes, this.#range, handed);
    }
    if (left.kind !== 'stored') return this.#waysOn().pass(cause, sizeBytes, this.#range, undefined);
    return this.#fitting(await this.#waysOn().miss(sizeBytes, this.#range, signal), left.reader.sizeBytes, signal);
  }

  /** Content of another size than the client was told would be no answer to what it was told. */
  async #fitting(leg: Leg, toldBytes: number, signal: AbortSignal): Promise<Leg> {
    // One that fails says so when it is read, and is gone on from then.
    const sizeBytes = await leg.reader.whenSized(signal).catch(() => toldBytes);
    if (sizeBytes === toldBytes) return leg;
    leg.reader.close();
    throw new AppError('CONTENT_MISMATCH', `the blob has ${sizeBytes} bytes, not ${toldBytes} as announced`);
  }

  async #handed({ reader }: Leg, offset: number, error: AppError, signal: AbortSignal): Promise<HandedOut> {
    const { storage, start } = reader;
    // Nobody can verify a part by itself: only that its end is not the blob's.
    if (!reachesHeldBack(this.#range, this.sizeBytes, this.#waysOn().holdBackBytes))
      return { toOffset: offset, hash: undefined };
    if (storage.kind === 'window') throw error;
    const hash = await this.#waysOn()
      .handedHash(storage, start, offset, signal)
      .catch(() => {
        signal.throwIfAborted();
        throw error;
      });
    return { toOffset: offset, hash };
  }
}

/** Why the disk does not have what it should, or undefined where it is something else that failed. */
export function passCause({ code, details }: AppError): PassThroughEvent['cause'] | undefined {
  const { reason } = details;
  if (code === 'STORAGE_FULL') return reason === 'too-large' || reason === 'cache-in-use' ? reason : 'disk-full';
  return code === 'STORAGE_FAILED' ? 'disk-failed' : undefined;
}

function closed(): AppError {
  return new AppError('CANCELLED', 'the body was closed');
}
