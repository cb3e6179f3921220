import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { parseReference, type Reference } from '../../core/reference.ts';
import type { RepositoryName } from '../../core/repository-name.ts';
import type { Scope } from '../../core/scope.ts';
import type { ImageExtent, ImageOrder } from '../images.ts';
import { type CatalogDatabase, isCatalogTrouble, type Query, type Row } from './catalog-database.ts';
import { digestIn, integerOf, optionalIntegerOf, textOf } from './catalog-rows.ts';

/** Where an image stands in an order. */
export interface ImagePlace {
  readonly key: string | number;
  readonly id: number;
}

export interface ImageSlot {
  readonly place: ImagePlace;
  readonly fits: boolean;
}

export interface ImageRow {
  readonly id: number;
  readonly name: string;
  readonly scopeId: number;
  readonly scope: Scope;
  readonly manifest: Digest;
  readonly mediaType: string;
  readonly usedAtMs: number;
  readonly cachedAtMs: number;
  /** As it was counted last; -1: nobody has. */
  readonly sizeBytes: number;
  readonly isPinned: boolean;
}

/** No more of an image is counted: what a manifest of the largest size may list, and some. */
const partsCounted = 50_000;

const columns = { used: 'used', size: 'size', age: 'cached', name: 'name' } as const;
/** Before the first one. */
const starts = {
  used: Number.MAX_SAFE_INTEGER,
  size: Number.MAX_SAFE_INTEGER,
  age: Number.MIN_SAFE_INTEGER,
  name: '',
} as const;

/** Those of the same key come first, then those of the next keys: so SQLite finds either by the index, however many tie. */
function sliceSql(order: ImageOrder, part: 'ties' | 'rest'): string {
  const column = columns[order];
  const [sign, direction] = order === 'used' || order === 'size' ? ['<', 'DESC'] : ['>', 'ASC'];
  const range = part === 'ties' ? `${column} = ?2 AND id ${sign} ?3` : `${column} ${sign} ?2`;
  return `SELECT id, ${column} AS key, ?1 = '' OR instr(lower(name), ?1) > 0 AS fits FROM image
    WHERE ${range} ORDER BY ${column} ${direction}, id ${direction} LIMIT ?${part === 'ties' ? 4 : 3}`;
}

const isPinned = `EXISTS (SELECT 1 FROM pin WHERE pin.scope = image.scope
  AND ((pin.tag = image.tag AND pin.digest = '') OR (pin.tag = '' AND pin.digest = image.digest)))`;

/** A manifest, `?2`, and all that it references. */
const parts = `WITH RECURSIVE part (digest) AS (
  SELECT ?2 UNION SELECT reference.child FROM part JOIN reference ON reference.manifest = part.digest
  LIMIT ${partsCounted})`;

/** What the catalog has of images by name. Calls take microseconds, `measure` some for each part of an image. */
export class ImageTable {
  readonly #database: CatalogDatabase;
  readonly #ties: Readonly<Record<ImageOrder, Query>>;
  readonly #rest: Readonly<Record<ImageOrder, Query>>;
  readonly #row: Query;
  readonly #named: Query;
  readonly #countFits: Query;
  readonly #total: Query;
  readonly #unsized: Query;
  readonly #measure: Query;
  readonly #parts: Query;
  readonly #setSize: Query;
  readonly #scopeId: Query;

  constructor(database: CatalogDatabase) {
    this.#database = database;
    const slices = (part: 'ties' | 'rest') => {
      const slice = (order: ImageOrder) => database.prepare(sliceSql(order, part));
      return { used: slice('used'), size: slice('size'), age: slice('age'), name: slice('name') };
    };
    this.#ties = slices('ties');
    this.#rest = slices('rest');
    this.#row = database.prepare(
      `SELECT image.id, image.name, image.scope, image.digest, image.used, image.cached, image.size, manifest.media_type,
         scope.registry, scope.repository, scope.identity, ${isPinned} AS pinned
       FROM image JOIN scope ON scope.id = image.scope JOIN manifest ON manifest.digest = image.digest
       WHERE image.id = ?`,
    );
    this.#named = database.prepare(
      `SELECT image.tag, image.digest, scope.registry, scope.repository, scope.identity
       FROM image JOIN scope ON scope.id = image.scope WHERE image.name = ? LIMIT 1`,
    );
    this.#countFits = database.prepare(
      `SELECT max(id) AS last, sum(instr(lower(name), ?1) > 0) AS fits
       FROM (SELECT id, name FROM image WHERE id > ?2 ORDER BY id LIMIT ?3)`,
    );
    this.#total = database.prepare('SELECT images FROM totals');
    this.#unsized = database.prepare('SELECT id, scope, digest FROM image WHERE size < 0 LIMIT ?');
    this.#parts = database.prepare(
      `${parts} SELECT part.digest, blob.size AS stored, link.size AS known
       FROM part LEFT JOIN blob ON blob.digest = part.digest
         LEFT JOIN link ON link.scope = ?1 AND link.digest = part.digest`,
    );
    this.#measure = database.prepare(
      `${parts} SELECT sum(coalesce(blob.size, link.size, 0)) AS known, sum(coalesce(blob.size, 0)) AS stored
       FROM part LEFT JOIN blob ON blob.digest = part.digest
         LEFT JOIN link ON link.scope = ?1 AND link.digest = part.digest`,
    );
    this.#setSize = database.prepare('UPDATE image SET size = ?2 WHERE id = ?1');
    this.#scopeId = database.prepare('SELECT id FROM scope WHERE registry = ? AND repository = ? AND identity = ?');
  }

  /** At most `limit` images in order, after a place, and whether each fits the search: in lower case, empty fits all. */
  slice(order: ImageOrder, search: string, after: ImagePlace | undefined, limit: number): ImageSlot[] {
    const ties = after === undefined ? [] : this.#ties[order].all(search, after.key, after.id, limit);
    const left = limit - ties.length;
    const rest = left === 0 ? [] : this.#rest[order].all(search, after?.key ?? starts[order], left);
    return [...ties, ...rest].map((row) => ({
      place: { key: order === 'name' ? textOf(row, 'key') : integerOf(row, 'key'), id: integerOf(row, 'id') },
      fits: integerOf(row, 'fits') !== 0,
    }));
  }

  /** How many of the `limit` images that come after this one fit, and which is the last of them; undefined: none comes. */
  countFits(search: string, afterId: number, limit: number): { fits: number; lastId: number } | undefined {
    const row = this.#countFits.get(search, afterId, limit) ?? {};
    const lastId = optionalIntegerOf(row, 'last');
    return lastId === undefined ? undefined : { lastId, fits: integerOf(row, 'fits') };
  }

  count(): number {
    return integerOf(this.#total.get() ?? {}, 'images');
  }

  row(id: number): ImageRow | undefined {
    const row = this.#row.get(id);
    return row && imageRow(row);
  }

  named(name: string): { scope: Scope; reference: Reference } | undefined {
    const row = this.#named.get(name);
    if (row === undefined) return undefined;
    const reference = parseReference(textOf(row, 'tag') || textOf(row, 'digest'));
    if (reference === undefined) throw new AppError('STORAGE_FAILED', 'the catalog holds an image without a name');
    return { scope: scopeOf(row), reference };
  }

  /** At most `limit` images whose size nobody has counted yet. */
  unsized(limit: number): { id: number; scopeId: number; manifest: Digest }[] {
    return this.#unsized.all(limit).map((row) => ({
      id: integerOf(row, 'id'),
      scopeId: integerOf(row, 'scope'),
      manifest: digestIn(row, 'digest'),
    }));
  }

  /** The manifest and all that it references, and how much of that is here. */
  measure(scopeId: number, manifest: Digest): { sizeBytes: number; storedBytes: number } {
    const row = this.#measure.get(scopeId, manifest) ?? {};
    return { sizeBytes: integerOf(row, 'known'), storedBytes: integerOf(row, 'stored') };
  }

  /** As `measure`, and which parts are missing. */
  extent(scopeId: number | undefined, manifest: Digest): ImageExtent {
    const [missing, rows] = [new Set<Digest>(), this.#parts.all(scopeId ?? 0, manifest)];
    let [sizeBytes, storedBytes] = [0, 0];
    for (const row of rows) {
      const stored = optionalIntegerOf(row, 'stored');
      storedBytes += stored ?? 0;
      sizeBytes += stored ?? optionalIntegerOf(row, 'known') ?? 0;
      if (stored === undefined) missing.add(digestIn(row, 'digest'));
    }
    // Of one that references nothing that is known, nothing is.
    const isKnown = rows.length > 1 || !missing.has(manifest);
    return { sizeBytes: isKnown ? sizeBytes : undefined, storedBytes, missing: [...missing] };
  }

  /** Notes what was counted; says whether it could. */
  setSizes(sizes: readonly { readonly id: number; readonly sizeBytes: number }[]): boolean {
    try {
      this.#database.transaction(() => {
        for (const { id, sizeBytes } of sizes) this.#setSize.run(id, sizeBytes);
      });
      return true;
    } catch (error) {
      if (!isCatalogTrouble(error)) throw error;
      return false;
    }
  }

  scopeId({ registry, repository, identity }: Scope): number | undefined {
    const row = this.#scopeId.get(registry, repository, identity);
    return row && integerOf(row, 'id');
  }
}

function imageRow(row: Row): ImageRow {
  return {
    id: integerOf(row, 'id'),
    name: textOf(row, 'name'),
    scopeId: integerOf(row, 'scope'),
    scope: scopeOf(row),
    manifest: digestIn(row, 'digest'),
    mediaType: textOf(row, 'media_type'),
    usedAtMs: integerOf(row, 'used'),
    cachedAtMs: integerOf(row, 'cached'),
    sizeBytes: integerOf(row, 'size'),
    isPinned: integerOf(row, 'pinned') !== 0,
  };
}

function scopeOf(row: Row): Scope {
  return {
    registry: textOf(row, 'registry'),
    repository: textOf(row, 'repository') as RepositoryName,
    identity: textOf(row, 'identity'),
  };
}
