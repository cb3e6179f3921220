import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import type { Scope } from '../../core/scope.ts';
import type { Catalog, LinkOrigin, LinkRecord, ManifestRecord, TagRecord } from '../catalog.ts';
import type { CatalogDatabase, Query } from './catalog-database.ts';
import { digestIn, integerOf, optionalIntegerOf, optionalTextOf, textOf } from './catalog-rows.ts';

export interface SqliteCatalogDeps {
  readonly clock: Clock;
  readonly database: CatalogDatabase;
  readonly accessTimes: { touch(digest: Digest): void };
  /** Called when something changed that `index.json` repeats. */
  readonly changed: () => void;
}

const scopeId = '(SELECT id FROM scope WHERE registry = ?1 AND repository = ?2 AND identity = ?3)';

/** The catalog on node:sqlite. Every call is its own transaction, unless one is open on the database. */
export class SqliteCatalog implements Catalog {
  readonly #deps: SqliteCatalogDeps;
  readonly #statements: Statements;

  constructor(deps: SqliteCatalogDeps) {
    this.#deps = deps;
    this.#statements = prepareStatements(deps.database);
  }

  addManifest({ digest, mediaType, sizeBytes, references }: ManifestRecord): void {
    const { addManifest, addReference } = this.#statements;
    const added = this.#deps.database.transaction(() => {
      const isNew = addManifest.run(digest, mediaType, sizeBytes) > 0;
      for (const child of references) addReference.run(digest, child);
      return isNew;
    });
    if (added) this.#deps.changed();
  }

  manifest(digest: Digest): ManifestRecord | undefined {
    const row = this.#statements.manifest.get(digest);
    if (row === undefined) return undefined;
    const references = this.#statements.references.all(digest).map((reference) => digestIn(reference, 'child'));
    return { digest, mediaType: textOf(row, 'media_type'), sizeBytes: integerOf(row, 'size'), references };
  }

  link(scope: Scope, contents: readonly LinkRecord[], origin: LinkOrigin = 'manifest'): void {
    if (contents.length === 0) return;
    const isConfirmed = origin === 'confirmed' ? 1 : 0;
    const now = Math.trunc(this.#deps.clock.now());
    const changes = this.#deps.database.transaction(() => {
      const id = this.#scopeId(scope);
      let rows = 0;
      for (const { digest, sizeBytes, mediaType } of contents) {
        rows += this.#statements.link.run(id, digest, sizeBytes ?? null, mediaType ?? null, isConfirmed, now);
      }
      return rows;
    });
    if (changes > 0) this.#deps.changed();
  }

  linked({ registry, repository, identity }: Scope, digest: Digest): LinkRecord | undefined {
    const row = this.#statements.linked.get(registry, repository, identity, digest);
    if (row === undefined) return undefined;
    return { digest, sizeBytes: optionalIntegerOf(row, 'size'), mediaType: optionalTextOf(row, 'media_type') };
  }

  setTag(scope: Scope, tag: string, variant: string, record: TagRecord): void {
    const before = this.tag(scope, tag, variant);
    this.#deps.database.transaction(() => {
      this.#statements.setTag.run(this.#scopeId(scope), tag, variant, record.digest, Math.trunc(record.checkedAtMs));
    });
    // A tag that was only checked again is not worth writing the index: it is in the next one that is written.
    if (before?.digest !== record.digest) this.#deps.changed();
  }

  tag({ registry, repository, identity }: Scope, tag: string, variant: string): TagRecord | undefined {
    const row = this.#statements.tag.get(registry, repository, identity, tag, variant);
    return row === undefined ? undefined : { digest: digestIn(row, 'digest'), checkedAtMs: integerOf(row, 'checked') };
  }

  removeTag({ registry, repository, identity }: Scope, tag: string, variant: string): void {
    if (this.#statements.removeTag.run(registry, repository, identity, tag, variant) > 0) this.#deps.changed();
  }

  repositories(after: string | undefined, limit: number): string[] {
    return this.#statements.repositories.all(after ?? '', limit).map((row) => textOf(row, 'name'));
  }

  touch(digest: Digest): void {
    this.#deps.accessTimes.touch(digest);
  }

  #scopeId({ registry, repository, identity }: Scope): number {
    const { findScope, addScope } = this.#statements;
    const row = findScope.get(registry, repository, identity) ?? addScope.get(registry, repository, identity) ?? {};
    return integerOf(row, 'id');
  }
}

type Statements = Readonly<Record<keyof typeof sql, Query>>;

const sql = {
  addManifest: 'INSERT INTO manifest (digest, media_type, size) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  addReference: 'INSERT INTO reference (manifest, child) VALUES (?, ?) ON CONFLICT DO NOTHING',
  manifest: 'SELECT media_type, size FROM manifest WHERE digest = ?',
  references: 'SELECT child FROM reference WHERE manifest = ?',
  findScope: 'SELECT id FROM scope WHERE registry = ? AND repository = ? AND identity = ?',
  addScope: 'INSERT INTO scope (registry, repository, identity) VALUES (?, ?, ?) RETURNING id',
  // What says nothing new changes no row: the same image is linked again at every revalidation.
  link: `INSERT INTO link (scope, digest, size, media_type, confirmed, linked) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
      size = coalesce(excluded.size, size),
      media_type = coalesce(excluded.media_type, media_type),
      confirmed = max(confirmed, excluded.confirmed)
    WHERE coalesce(excluded.size, size) IS NOT size
      OR coalesce(excluded.media_type, media_type) IS NOT media_type
      OR excluded.confirmed > confirmed`,
  linked: `SELECT size, media_type FROM link WHERE scope = ${scopeId} AND digest = ?4`,
  setTag: `INSERT INTO tag (scope, tag, variant, digest, checked) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET digest = excluded.digest, checked = excluded.checked`,
  tag: `SELECT digest, checked FROM tag WHERE scope = ${scopeId} AND tag = ?4 AND variant = ?5`,
  removeTag: `DELETE FROM tag WHERE scope = ${scopeId} AND tag = ?4 AND variant = ?5`,
  repositories: `SELECT DISTINCT name FROM scope
    WHERE name > ? AND EXISTS (
      SELECT 1 FROM link JOIN manifest ON manifest.digest = link.digest WHERE link.scope = scope.id)
    ORDER BY name LIMIT ?`,
} as const;

function prepareStatements(database: CatalogDatabase): Statements {
  return {
    addManifest: database.prepare(sql.addManifest),
    addReference: database.prepare(sql.addReference),
    manifest: database.prepare(sql.manifest),
    references: database.prepare(sql.references),
    findScope: database.prepare(sql.findScope),
    addScope: database.prepare(sql.addScope),
    link: database.prepare(sql.link),
    linked: database.prepare(sql.linked),
    setTag: database.prepare(sql.setTag),
    tag: database.prepare(sql.tag),
    removeTag: database.prepare(sql.removeTag),
    repositories: database.prepare(sql.repositories),
  };
}
