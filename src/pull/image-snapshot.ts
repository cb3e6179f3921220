import type { Digest } from '../core/digest.ts';

/** One image of the cache, as operators see it (P12). */
export interface ImageSnapshot {
  /** `registry/repository:tag`, or `registry/repository@digest` where nothing but the digest names it. */
  readonly image: string;
  readonly manifest: Digest;
  readonly mediaType: string;
  /** Those of which everything is here. */
  readonly platforms: readonly string[];
  /** The others that it is for, as far as that is known: of an index all that it lists. */
  readonly otherPlatforms: readonly PartialPlatform[];
  /** The manifest and all that it references, as far as that is known, and how much of it is here. */
  readonly sizeBytes: number;
  readonly storedBytes: number;
  /** Undefined where it was not asked for lately. */
  readonly pulls: number | undefined;
  readonly lastUsedAtMs: number;
  readonly cachedAtMs: number;
  readonly isPinned: boolean;
}

/** A platform of which something, or everything, is not here. */
export interface PartialPlatform {
  readonly platform: string;
  /** Undefined where nobody asked for its manifest. */
  readonly sizeBytes: number | undefined;
  readonly storedBytes: number;
}

export interface ImagesPage {
  readonly images: readonly ImageSnapshot[];
  readonly total: number;
  /** What the next page is asked for with; undefined: this is the last one. */
  readonly after: string | undefined;
}

export interface PurgeSnapshot {
  /** The names that are gone. */
  readonly removed: readonly string[];
  readonly blobs: number;
  readonly freedBytes: number;
  /** What is read or fetched just now: its room comes free when that has ended. */
  readonly following: readonly { readonly digest: Digest; readonly sizeBytes: number }[];
}

/** What operators ask the list for. */
export interface ImagesQuery {
  readonly order: 'used' | 'size' | 'age' | 'name';
  /** Part of a name, in any case; undefined: all. */
  readonly search: string | undefined;
  readonly limit: number;
  /** The `after` of the page before. */
  readonly after: string | undefined;
}
