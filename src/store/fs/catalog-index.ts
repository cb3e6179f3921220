import type { Digest } from '../../core/digest.ts';
import type { Tag } from '../../core/reference.ts';
import type { RepositoryName } from '../../core/repository-name.ts';
import type { CatalogDatabase, Query, Row } from './catalog-database.ts';
import { digestIn, integerOf, optionalTextOf, textOf } from './catalog-rows.ts';
import { type IndexEntry, pinKinds } from './layout-index.ts';

const isPinnedByDigest =
  "EXISTS (SELECT 1 FROM pin WHERE pin.scope = link.scope AND pin.tag = '' AND pin.digest = manifest.digest)";

/** The catalog's rows that `index.json` repeats, in slices, so that writing it never holds up a request for long. */
export class CatalogIndex {
  readonly #manifests: Query;
  readonly #entries: Query;

  constructor(database: CatalogDatabase) {
    this.#manifests = database.prepare('SELECT digest FROM manifest WHERE digest > ? ORDER BY digest LIMIT ?');
    // A manifest that its repository has through an index is left out, unless it is pinned by itself: following the index
    // finds it again. From the manifest
    // to its tags and referrers, never through all that the repository has: that would be once for each of its manifests.
    this.#entries = database.prepare(
      `SELECT manifest.digest, manifest.media_type, manifest.size,
         scope.registry, scope.repository, scope.identity, tag.tag, tag.variant, tag.checked,
         EXISTS (SELECT 1 FROM pin WHERE pin.scope = link.scope AND pin.tag = tag.tag AND pin.digest = '') AS tag_pinned,
         ${isPinnedByDigest} AS digest_pinned
       FROM manifest JOIN link ON link.digest = manifest.digest JOIN scope ON scope.id = link.scope
       LEFT JOIN tag INDEXED BY tag_digest ON tag.digest = manifest.digest AND tag.scope = link.scope
       WHERE manifest.digest = ? AND (tag.tag IS NOT NULL OR ${isPinnedByDigest} OR NOT EXISTS (
         SELECT 1 FROM reference INDEXED BY reference_child CROSS JOIN link AS has ON has.scope = link.scope AND has.digest = reference.manifest
         WHERE reference.child = manifest.digest))`,
    );
  }

  /** The entries of at most `limit` manifests after `after`, and where the next slice begins; no `next`: the last one. */
  slice(after: Digest | undefined, limit: number): { entries: IndexEntry[]; next: Digest | undefined } {
    const digests = this.#manifests.all(after ?? '', limit).map((row) => digestIn(row, 'digest'));
    const entries = digests.flatMap((digest) => this.#entries.all(digest).map(indexEntry));
    return { entries, next: digests.length < limit ? undefined : digests.at(-1) };
  }
}

function indexEntry(row: Row): IndexEntry {
  const tag = optionalTextOf(row, 'tag');
  return {
    scope: {
      registry: textOf(row, 'registry'),
      repository: textOf(row, 'repository') as RepositoryName,
      identity: textOf(row, 'identity'),
    },
    digest: digestIn(row, 'digest'),
    mediaType: textOf(row, 'media_type'),
    sizeBytes: integerOf(row, 'size'),
    pinnedBy: pinKinds.filter((kind) => integerOf(row, `${kind}_pinned`) !== 0),
    tag:
      tag === undefined
        ? undefined
        : { tag: tag as Tag, variant: textOf(row, 'variant'), checkedAtMs: integerOf(row, 'checked') },
  };
}
