import type { Digest } from '../../core/digest.ts';

/** A preheat as operators see it (P12). */
export interface PreheatSnapshot extends PreheatSummary {
  readonly images: readonly PreheatImageSnapshot[];
}

export interface PreheatSummary {
  readonly id: string;
  /** `failed` where an image failed, the others having been pulled. */
  readonly state: 'running' | 'done' | 'failed' | 'cancelled';
  /** As they were asked for; empty: all. */
  readonly platforms: readonly string[];
  readonly startedAtMs: number;
  /** Undefined while it runs. */
  readonly endedAtMs: number | undefined;
  /** Over the images whose layers are known. */
  readonly sizeBytes: number;
  readonly filledBytes: number;
  readonly imageCounts: Readonly<Record<PreheatState, number>>;
}

export type PreheatState = 'waiting' | 'pulling' | 'done' | 'failed' | 'cancelled';

export interface PreheatImageSnapshot {
  /** `registry/repository:tag` or `registry/repository@digest`. */
  readonly image: string;
  readonly state: PreheatState;
  /** What the name means, once that is known. */
  readonly manifest: Digest | undefined;
  /** Those that are pulled, where the image is for several. */
  readonly platforms: readonly string[];
  /** While it is `pulling` and nothing of it comes: for what, in words, where it is known. */
  readonly waitingFor: string | undefined;
  readonly error: string | undefined;
  /** What its reader is to know although it did not fail. */
  readonly warning: string | undefined;
  readonly sizeBytes: number;
  readonly filledBytes: number;
  /** Configurations and layers of all platforms that are pulled. */
  readonly layers: readonly PreheatLayerSnapshot[];
}

export interface PreheatLayerSnapshot {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly filledBytes: number;
  readonly state: PreheatState | 'verifying';
  /** In words, where it is known while it waits. */
  readonly waitingFor: string | undefined;
  readonly error: string | undefined;
}

/** Who asked for a preheat, or cancelled it. */
export interface Asker {
  /** The address that the connection came from. */
  readonly client: string;
  readonly userAgent: string | undefined;
}
