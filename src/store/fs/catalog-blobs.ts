import type { Digest } from '../../core/digest.ts';
import type { CatalogDatabase, Query, Row } from './catalog-database.ts';
import { digestIn, integerOf } from './catalog-rows.ts';
import { pinsOf } from './image-schema.ts';
import { isStray } from './stray-schema.ts';

/** Committed content, as the catalog knows it. */
export interface BlobRow {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** When it was last used, in ms since the epoch; uses of the last seconds may be missing. */
  readonly accessedAtMs: number;
  /** Whether it is a manifest that is pinned; what that references stays with it. */
  readonly isPinned: boolean;
  /** How many known manifests reference it. */
  readonly parents: number;
}

const columns = 'digest, size, accessed, pinned, parents';

/** The catalog's record of what is committed. Totals and parents are kept by the schema's triggers. */
export class BlobTable {
  readonly #find: Query;
  readonly #add: Query;
  readonly #remove: Query;
  readonly #totals: Query;
  readonly #pinned: Query;
  readonly #pinnedRoots: Query;
  readonly #after: Query;
  readonly #roots: Query;
  readonly #strays: Query;
  readonly #strayTotals: Query;

  constructor(database: CatalogDatabase) {
    this.#find = database.prepare(`SELECT ${columns} FROM blob WHERE digest = ?`);
    this.#add = database.prepare(
      `INSERT INTO blob (digest, size, accessed, parents, pinned, manifest)
       VALUES (?1, ?2, ?3, (SELECT count(*) FROM reference WHERE child = ?1), ${pinsOf('?1')},
         EXISTS (SELECT 1 FROM manifest WHERE digest = ?1))
       ON CONFLICT (digest) DO UPDATE SET size = excluded.size, accessed = max(accessed, excluded.accessed)`,
    );
    this.#remove = database.prepare('DELETE FROM blob WHERE digest = ?');
    this.#totals = database.prepare('SELECT bytes, blobs FROM totals');
    this.#pinned = database.prepare(
      'SELECT count(*) AS roots, coalesce(sum(size), 0) AS bytes FROM blob WHERE pinned != 0',
    );
    this.#pinnedRoots = database.prepare('SELECT digest FROM blob WHERE pinned != 0');
    this.#after = database.prepare(`SELECT ${columns} FROM blob WHERE digest > ? ORDER BY digest LIMIT ?`);
    this.#roots = database.prepare(
      `SELECT ${columns} FROM blob WHERE parents = 0 AND pinned = 0 AND (accessed, digest) > (?, ?)
       ORDER BY accessed, digest LIMIT ?`,
    );
    this.#strays = database.prepare(
      `SELECT ${columns} FROM blob WHERE ${isStray('blob')} AND (accessed, digest) > (?1, ?2) AND accessed < ?3
       ORDER BY accessed, digest LIMIT ?4`,
    );
    this.#strayTotals = database.prepare('SELECT stray_bytes, strays FROM totals');
  }

  find(digest: Digest): BlobRow | undefined {
    const row = this.#find.get(digest);
    return row === undefined ? undefined : blobRow(row);
  }

  add(digest: Digest, sizeBytes: number, accessedAtMs: number): void {
    this.#add.run(digest, sizeBytes, Math.trunc(accessedAtMs));
  }

  /** Forgets that the content is here. What repositories and manifests say of it stays: it may be fetched again. */
  remove(digest: Digest): void {
    this.#remove.run(digest);
  }

  totals(): { readonly sizeBytes: number; readonly blobs: number } {
    const row = this.#totals.get() ?? {};
    return { sizeBytes: integerOf(row, 'bytes'), blobs: integerOf(row, 'blobs') };
  }

  /** How many manifests are pinned, and what they take by themselves. */
  pinned(): { readonly roots: number; readonly bytes: number } {
    const row = this.#pinned.get() ?? {};
    return { roots: integerOf(row, 'roots'), bytes: integerOf(row, 'bytes') };
  }

  pinnedRoots(): Digest[] {
    return this.#pinnedRoots.all().map((row) => digestIn(row, 'digest'));
  }

  /** At most `limit` blobs in the order of their digests, after `after`. */
  slice(after: Digest | undefined, limit: number): BlobRow[] {
    return this.#after.all(after ?? '', limit).map(blobRow);
  }

  /** What eviction may begin with: neither referenced nor pinned, least recently used first, after `after`. */
  roots(after: BlobRow | undefined, limit: number): BlobRow[] {
    return this.#roots.all(after?.accessedAtMs ?? Number.MIN_SAFE_INTEGER, after?.digest ?? '', limit).map(blobRow);
  }

  /** Of these what is no manifest either, as far as is known: content of no image. */
  strays(after: BlobRow | undefined, usedBeforeMs: number, limit: number): BlobRow[] {
    const place = [after?.accessedAtMs ?? Number.MIN_SAFE_INTEGER, after?.digest ?? ''] as const;
    return this.#strays.all(...place, usedBeforeMs, limit).map(blobRow);
  }

  strayTotals(): { readonly sizeBytes: number; readonly blobs: number } {
    const row = this.#strayTotals.get() ?? {};
    return { sizeBytes: integerOf(row, 'stray_bytes'), blobs: integerOf(row, 'strays') };
  }
}

function blobRow(row: Row): BlobRow {
  return {
    digest: digestIn(row, 'digest'),
    sizeBytes: integerOf(row, 'size'),
    accessedAtMs: integerOf(row, 'accessed'),
    isPinned: integerOf(row, 'pinned') !== 0,
    parents: integerOf(row, 'parents'),
  };
}
