import type { Digest } from '../../core/digest.ts';
import type { CatalogDatabase, Query } from './catalog-database.ts';
import { digestIn, integerOf } from './catalog-rows.ts';

const manyReferrers = 200;

/**
 * What the catalog forgets when content leaves, so that it stays bounded by what is stored and nothing stays readable
 * through a repository for a reason that is gone (P8, P9):
 *
 * - of the content itself: its row, its record and references as a manifest, the tags that point at it, its links;
 * - of what it referenced, for each scope that had it: the link, if a manifest made it, and no other manifest of that
 *   scope references the digest, and no tag or pin of the scope names it; and so on down from there.
 */
export class CatalogRemoval {
  readonly #database: CatalogDatabase;
  readonly #changed: () => void;
  readonly #scopesOf: Query;
  readonly #removeLink: Query;
  readonly #madeByManifest: Query;
  readonly #referrers: Query;
  readonly #vouchedByReferrer: Query;
  readonly #vouchedInScope: Query;
  readonly #named: Query;
  readonly #children: Query;
  readonly #removeEmptyScope: Query;
  readonly #removeRest: readonly Query[];

  constructor(deps: { readonly database: CatalogDatabase; readonly changed: () => void }) {
    const { database } = deps;
    this.#database = database;
    this.#changed = deps.changed;
    this.#scopesOf = database.prepare('SELECT scope FROM link WHERE digest = ?');
    this.#removeLink = database.prepare('DELETE FROM link WHERE scope = ? AND digest = ?');
    this.#madeByManifest = database.prepare(
      `SELECT link.digest FROM reference CROSS JOIN link ON link.scope = ?1 AND link.digest = reference.child
       WHERE reference.manifest = ?2 AND link.confirmed = 0`,
    );
    this.#referrers = database.prepare('SELECT 1 FROM reference WHERE child = ? LIMIT ?');
    // The same question from either end: by the digest's referrers, or by what the scope has.
    this.#vouchedByReferrer = database.prepare(
      `SELECT 1 FROM reference CROSS JOIN link ON link.scope = ?1 AND link.digest = reference.manifest
       WHERE reference.child = ?2 LIMIT 1`,
    );
    this.#vouchedInScope = database.prepare(
      `SELECT 1 FROM link CROSS JOIN reference ON reference.manifest = link.digest AND reference.child = ?2
       WHERE link.scope = ?1 LIMIT 1`,
    );
    this.#named = database.prepare(
      `SELECT 1 WHERE EXISTS (SELECT 1 FROM tag WHERE digest = ?2 AND scope = ?1)
         OR EXISTS (SELECT 1 FROM pin WHERE digest = ?2 AND scope = ?1 AND tag = '')`,
    );
    this.#children = database.prepare('SELECT child FROM reference WHERE manifest = ?');
    this.#removeEmptyScope = database.prepare(
      `DELETE FROM scope WHERE id = ?1
         AND NOT EXISTS (SELECT 1 FROM link WHERE scope = ?1) AND NOT EXISTS (SELECT 1 FROM tag WHERE scope = ?1)`,
    );
    this.#removeRest = [
      database.prepare('DELETE FROM tag WHERE digest = ?'),
      database.prepare('DELETE FROM reference WHERE manifest = ?'),
      database.prepare('DELETE FROM manifest WHERE digest = ?'),
      database.prepare('DELETE FROM blob WHERE digest = ?'),
    ];
  }

  /** Forgets all of `digests`, in one transaction. Manifests stand before what they reference. */
  remove(digests: readonly Digest[]): void {
    this.#database.transaction(() => {
      const scopes = new Set<number>();
      for (const digest of digests) {
        for (const row of this.#scopesOf.all(digest)) {
          const scope = integerOf(row, 'scope');
          scopes.add(scope);
          this.#unlink(scope, digest);
        }
        for (const statement of this.#removeRest) statement.run(digest);
      }
      for (const scope of scopes) this.#removeEmptyScope.run(scope);
    });
    this.#changed();
  }

  /**
   * Takes a digest from one scope, unless a tag, a pin or a manifest of that vouches for it, and what only that vouched for
   * there, though upstream may have confirmed it: nobody wants it any more. Returns what the scope has lost.
   */
  forget(scope: number, digest: Digest): Digest[] {
    const lost: Digest[] = [];
    this.#database.transaction(() => {
      this.#forget(scope, digest, lost);
      this.#removeEmptyScope.run(scope);
    });
    this.#changed();
    return lost;
  }

  #forget(scope: number, digest: Digest, lost: Digest[]): void {
    if (this.#isVouchedFor(scope, digest) || this.#removeLink.run(scope, digest) === 0) return;
    lost.push(digest);
    for (const row of this.#children.all(digest)) this.#forget(scope, digestIn(row, 'child'), lost);
  }

  #unlink(scope: number, digest: Digest): void {
    if (this.#removeLink.run(scope, digest) === 0) return;
    for (const row of this.#madeByManifest.all(scope, digest)) {
      const child = digestIn(row, 'digest');
      if (!this.#isVouchedFor(scope, child)) this.#unlink(scope, child);
    }
  }

  #isVouchedFor(scope: number, digest: Digest): boolean {
    // A base layer has more referrers than most repositories have content.
    const isShared = this.#referrers.all(digest, manyReferrers).length === manyReferrers;
    const vouched = isShared ? this.#vouchedInScope : this.#vouchedByReferrer;
    return vouched.get(scope, digest) !== undefined || this.#named.get(scope, digest) !== undefined;
  }
}
