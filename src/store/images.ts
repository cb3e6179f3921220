import type { Digest } from '../core/digest.ts';
import type { Reference } from '../core/reference.ts';
import type { Scope } from '../core/scope.ts';

/**
 * What is here, by the names that people know it by: for operators. No client's request waits for any of it, and it holds
 * up none: what takes long is done a little in each turn.
 */
export interface Images {
  /** A page of the list. Going on after `next` neither repeats nor leaves out an image that keeps its place meanwhile. */
  list(query: ImageQuery, signal: AbortSignal): Promise<ImagePage>;
  /** What a manifest of the scope amounts to, an index too, and what of it is here. */
  extent(scope: Scope, manifest: Digest): ImageExtent;
  /** How many the list has in all. */
  count(): number;
  /** The scope and reference of the image that is listed under exactly this name. */
  named(name: string): { readonly scope: Scope; readonly reference: Reference } | undefined;
  /**
   * Takes an image out of the cache: its name, by a digest every tag of it, and of its content what nothing else has that
   * stays. What is being read goes on being read, and what is being fetched stays until that has ended. Undefined where
   * there is no such image. Rejects with IMAGE_KEPT where it is pinned, or a part of another image.
   */
  purge(scope: Scope, reference: Reference): Promise<PurgedImage | undefined>;
  /** Whether the image, its name or else its digest, may never be evicted. Says whether it is here at all. */
  setPinned(scope: Scope, reference: Reference, isPinned: boolean): boolean;
  /** What pinned images take of the store, as of some seconds ago; 0 while that is not known. */
  pinnedBytes(): number;
}

export interface ImageExtent {
  /** As far as is known; undefined where not even the manifest is. */
  readonly sizeBytes: number | undefined;
  readonly storedBytes: number;
  /** What is not here of what is known to belong to it, what may come from elsewhere included. */
  readonly missing: readonly Digest[];
}

/** `used`: what was used last comes first; `size`: the largest; `age`: what is here for longest; `name`: by the alphabet. */
export type ImageOrder = 'used' | 'size' | 'age' | 'name';

export interface ImageQuery {
  readonly order: ImageOrder;
  /** Part of a name, in any case; undefined: all. */
  readonly search: string | undefined;
  readonly limit: number;
  /** The `next` of the page before. */
  readonly after: string | undefined;
}

export interface ImagePage {
  readonly images: readonly ImageRecord[];
  /** How many fit the search, on all pages. */
  readonly total: number;
  readonly next: string | undefined;
}

export interface ImageRecord {
  /** `registry/repository:tag`, or `registry/repository@digest` where nothing but the digest names it. */
  readonly name: string;
  readonly scope: Scope;
  readonly manifest: Digest;
  readonly mediaType: string;
  /** The manifest and all that it references, once each, as far as is known. */
  readonly sizeBytes: number;
  /** How much of that is here. */
  readonly storedBytes: number;
  readonly lastUsedAtMs: number;
  readonly cachedAtMs: number;
  readonly isPinned: boolean;
}

export interface PurgedImage {
  /** The names that are gone. */
  readonly names: readonly string[];
  /** What left the store, with its size. */
  readonly blobs: readonly PurgedBlob[];
  /** What whoever remembers content by its digest is to forget: all that left, or that the repository has no more. */
  readonly digests: readonly Digest[];
}

export interface PurgedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** It is read just now, or fetched: the disk gets its room back when that has ended. */
  readonly isInUse: boolean;
}
