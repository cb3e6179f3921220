import type { Digest } from '../../core/digest.ts';
import type { Reference } from '../../core/reference.ts';
import type { CatalogDatabase, Query } from './catalog-database.ts';
import { digestIn, textOf } from './catalog-rows.ts';

/** What stands between an image and its leaving. */
export interface ImageHold {
  /** The name of an image of the same repository that is pinned, or that lists it. */
  readonly name: string;
  readonly kind: 'pinned' | 'part';
}

/** What one scope calls its manifests: tags, digests and pins. Calls take microseconds. */
export class ImageNames {
  readonly #database: CatalogDatabase;
  readonly #ofTag: Query;
  readonly #ofDigest: Query;
  readonly #tagsOf: Query;
  readonly #removeTag: Query;
  readonly #scopeName: Query;
  readonly #pinnedTag: Query;
  readonly #pinnedAs: Query;
  readonly #listedBy: Query;
  readonly #pin: Query;
  readonly #unpin: Query;
  readonly #isNamed: Query;
  readonly #isLinked: Query;
  readonly #isManifest: Query;

  constructor(database: CatalogDatabase) {
    this.#database = database;
    this.#ofTag = database.prepare('SELECT digest FROM image WHERE scope = ? AND tag = ? ORDER BY digest');
    this.#ofDigest = database.prepare(
      `SELECT link.digest FROM link JOIN manifest ON manifest.digest = link.digest
       WHERE link.scope = ? AND link.digest = ?`,
    );
    this.#tagsOf = database.prepare("SELECT tag FROM image WHERE digest = ?2 AND scope = ?1 AND tag != '' LIMIT 1000");
    this.#removeTag = database.prepare('DELETE FROM tag WHERE scope = ? AND tag = ?');
    this.#scopeName = database.prepare('SELECT name FROM scope WHERE id = ?');
    this.#pinnedTag = database.prepare("SELECT 1 FROM pin WHERE scope = ? AND tag = ? AND digest = ''");
    this.#pinnedAs = database.prepare(
      `SELECT pin.tag FROM pin WHERE pin.scope = ?1 AND pin.tag = '' AND pin.digest = ?2
       UNION ALL
       SELECT pin.tag FROM tag JOIN pin ON pin.scope = tag.scope AND pin.tag = tag.tag AND pin.digest = ''
       WHERE tag.digest = ?2 AND tag.scope = ?1 LIMIT 1`,
    );
    this.#listedBy = database.prepare(
      `SELECT image.name FROM reference JOIN link ON link.scope = ?1 AND link.digest = reference.manifest
         JOIN image ON image.digest = reference.manifest AND image.scope = ?1
       WHERE reference.child = ?2 LIMIT 1`,
    );
    this.#pin = database.prepare('INSERT INTO pin (scope, tag, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING');
    this.#unpin = database.prepare('DELETE FROM pin WHERE scope = ? AND tag = ? AND digest = ?');
    this.#isNamed = database.prepare(
      `SELECT 1 WHERE EXISTS (SELECT 1 FROM link WHERE digest = ?1) OR EXISTS (SELECT 1 FROM tag WHERE digest = ?1)
         OR EXISTS (SELECT 1 FROM reference WHERE child = ?1)`,
    );
    this.#isLinked = database.prepare('SELECT 1 FROM link WHERE digest = ? LIMIT 1');
    this.#isManifest = database.prepare('SELECT 1 FROM manifest WHERE digest = ?');
  }

  /** The manifests that an image is: none where it is not here. */
  manifestsOf(scope: number, reference: Reference): Digest[] {
    const rows =
      reference.kind === 'tag' ? this.#ofTag.all(scope, reference.tag) : this.#ofDigest.all(scope, reference.digest);
    return rows.map((row) => digestIn(row, 'digest'));
  }

  /** Why the image may not be taken away; undefined where it may. */
  holdOn(scope: number, reference: Reference): ImageHold | undefined {
    const repository = this.nameOf(scope);
    if (reference.kind === 'tag') {
      const isPinned = this.#pinnedTag.get(scope, reference.tag) !== undefined;
      return isPinned ? { kind: 'pinned', name: `${repository}:${reference.tag}` } : undefined;
    }
    const { digest } = reference;
    const pin = this.#pinnedAs.get(scope, digest);
    if (pin !== undefined) {
      const tag = textOf(pin, 'tag');
      return { kind: 'pinned', name: tag === '' ? `${repository}@${digest}` : `${repository}:${tag}` };
    }
    const index = this.#listedBy.get(scope, digest);
    return index && { kind: 'part', name: textOf(index, 'name') };
  }

  /** Forgets the tag, or every tag of the digest; returns the names that are gone. */
  removeNames(scope: number, reference: Reference): string[] {
    const repository = this.nameOf(scope);
    const isTag = reference.kind === 'tag';
    const tags = isTag ? [reference.tag] : this.#tagsOf.all(scope, reference.digest).map((row) => textOf(row, 'tag'));
    for (const tag of tags) this.#removeTag.run(scope, tag);
    const names = tags.map((tag) => `${repository}:${tag}`);
    return names.length === 0 && !isTag ? [`${repository}@${reference.digest}`] : names;
  }

  setPinned(scope: number, reference: Reference, isPinned: boolean): void {
    const [tag, digest] = reference.kind === 'tag' ? [reference.tag, ''] : ['', reference.digest];
    this.#database.transaction(() => (isPinned ? this.#pin : this.#unpin).run(scope, tag, digest));
  }

  /** Whether some repository has the digest, or some manifest that is known references it. */
  isNamed(digest: Digest): boolean {
    return this.#isNamed.get(digest) !== undefined;
  }

  /** Whether some repository has the digest. */
  isLinked(digest: Digest): boolean {
    return this.#isLinked.get(digest) !== undefined;
  }

  isManifest(digest: Digest): boolean {
    return this.#isManifest.get(digest) !== undefined;
  }

  nameOf(scope: number): string {
    const row = this.#scopeName.get(scope);
    return row === undefined ? '' : textOf(row, 'name');
  }
}
