import type { Digest } from '../core/digest.ts';
import type { AppError } from '../core/errors.ts';
import type { Source } from './source.ts';

/**
 * Whom a flight may ask, where other nodes want the same blob: they agree on who asks upstream, and the others read from
 * nodes that have it or bring it. It decides, and tells when that changes; the flight never waits for it longer than it waits
 * for a source, because it always decides in the end.
 */
export interface FillShare {
  /** The fill begins. Once. */
  start(host: FillShareHost): void;
  /** Whether the source may be asked now. */
  allows(source: Source): boolean;
  /** An attempt at upstream failed. */
  failed(error: AppError): void;
  /** It is still to decide whom else may be asked, and tells when it has. Otherwise who may not be asked now never may. */
  readonly isUndecided: boolean;
  /** What is waited for while nobody may be asked, in words. */
  readonly waitingFor: string;
  /** The fill is over. `isComplete`: the store has the content now. Idempotent. */
  end(isComplete: boolean): void;
}

/** What it asks and tells the flight. Calls are synchronous. */
export interface FillShareHost {
  /** Bytes from 0 on that are here without a gap. */
  readonly prefixBytes: number;
  readonly filledBytes: number;
  readonly sizeBytes: number | undefined;
  /** One more source to read from, or one that may be asked again. */
  offer(source: Source): void;
  /** Others may be asked now than before. */
  changed(): void;
}

/** One for each flight, where nodes share their fills. */
export interface FillSharing {
  share(digest: Digest): FillShare;
}
