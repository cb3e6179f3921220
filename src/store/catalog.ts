import type { Digest } from '../core/digest.ts';
import type { Scope } from '../core/scope.ts';

/**
 * What the cache knows about content: which manifests reference what, which repository has what, and where tags point.
 * Calls are synchronous and take microseconds. All of it can be lost at the cost of asking upstream again.
 *
 * Whatever makes untrue what it said before (a digest that a scope has no more, or that turned out to be something else; a tag
 * that moved, is gone, or counts as checked earlier than before) counts in the `ChangeCount` that it was made with, right after it: once for all that goes together.
 */
export interface Catalog {
  /** Records a manifest (its bytes are in the content store) and what it references; children of an index included. */
  addManifest(manifest: ManifestRecord): void;
  manifest(digest: Digest): ManifestRecord | undefined;

  /**
   * Records that the repository has each digest. A known link keeps its size and media type where the new has none.
   * One made by a manifest lasts while some manifest that the scope has references the digest, a confirmed one while
   * the content is known at all; once confirmed, a link stays so.
   */
  link(scope: Scope, contents: readonly LinkRecord[], origin?: LinkOrigin): void;
  linked(scope: Scope, digest: Digest): LinkRecord | undefined;

  setTag(scope: Scope, tag: string, variant: string, record: TagRecord): void;
  tag(scope: Scope, tag: string, variant: string): TagRecord | undefined;
  /** Forgets a tag: upstream said that it is gone. */
  removeTag(scope: Scope, tag: string, variant: string): void;

  /** Names (`registry/repository`) with at least one manifest, in lexical order, after `after`, at most `limit`. */
  repositories(after: string | undefined, limit: number): string[];

  /** Notes that content was used now. Batched: costs a map entry. */
  touch(digest: Digest): void;
}

export interface ManifestRecord {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** Config, layers, child manifests: what must stay while this manifest stays. */
  readonly references: readonly Digest[];
}

export interface LinkRecord {
  readonly digest: Digest;
  /** Undefined where upstream confirmed the digest without saying. */
  readonly sizeBytes: number | undefined;
  readonly mediaType: string | undefined;
}

/** How we know that a repository has a digest: a manifest of it says so (the default), or upstream itself did. */
export type LinkOrigin = 'manifest' | 'confirmed';

export interface TagRecord {
  readonly digest: Digest;
  /** When upstream last said so, in ms since the epoch. */
  readonly checkedAtMs: number;
}
