import type { Digest } from '../../core/digest.ts';
import type { CatalogDatabase, Query } from './catalog-database.ts';
import { digestIn, integerOf } from './catalog-rows.ts';

/** Which manifests reference what, for those who walk it. */
export class ReferenceGraph {
  readonly #children: Query;
  readonly #referrers: Query;

  constructor(database: CatalogDatabase) {
    this.#children = database.prepare('SELECT child FROM reference WHERE manifest = ?');
    this.#referrers = database.prepare(
      'SELECT count(*) AS referrers FROM (SELECT 1 FROM reference WHERE child = ? LIMIT ?)',
    );
  }

  childrenOf(digest: Digest): Digest[] {
    return this.#children.all(digest).map((row) => digestIn(row, 'child'));
  }

  /** How many manifests reference it, counted no further than `atMost`. */
  referrersOf(digest: Digest, atMost: number): number {
    return integerOf(this.#referrers.get(digest, atMost) ?? {}, 'referrers');
  }
}
