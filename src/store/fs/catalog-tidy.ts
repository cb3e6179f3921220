import type { Clock } from '../../core/clock.ts';
import type { Digest } from '../../core/digest.ts';
import type { CatalogDatabase, Query } from './catalog-database.ts';
import { digestIn, integerOf, textOf } from './catalog-rows.ts';

const rowsPerStep = 200;
const dayMs = 24 * 3600 * 1000;

export interface CatalogTidyDeps {
  readonly clock: Clock;
  readonly database: CatalogDatabase;
  readonly removal: { remove(digests: readonly Digest[]): void };
}

/**
 * Forgets what eviction never meets, because there is no content that could leave: links of a day ago to what is
 * neither stored nor referenced (upstream confirmed a blob that then never came), and tags of a day ago that point at a
 * manifest that we do not have. It goes round the tables a few rows at a time, so a step costs the same whatever their
 * size; forgetting too much costs a question upstream.
 */
export class CatalogTidy {
  readonly #deps: CatalogTidyDeps;
  readonly #links: Query;
  readonly #isKnown: Query;
  readonly #tags: Query;
  readonly #removeTag: Query;
  #link: readonly [scope: number, digest: string] = [0, ''];
  #tag: readonly [scope: number, tag: string, variant: string] = [0, '', ''];

  constructor(deps: CatalogTidyDeps) {
    this.#deps = deps;
    const { database } = deps;
    this.#links = database.prepare(
      'SELECT scope, digest, linked FROM link WHERE (scope, digest) > (?, ?) ORDER BY scope, digest LIMIT ?',
    );
    this.#isKnown = database.prepare(
      `SELECT 1 WHERE EXISTS (SELECT 1 FROM blob WHERE digest = ?1)
         OR EXISTS (SELECT 1 FROM reference WHERE child = ?1)`,
    );
    this.#tags = database.prepare(
      `SELECT scope, tag, variant, checked, EXISTS (SELECT 1 FROM manifest WHERE digest = tag.digest) AS known
       FROM tag WHERE (scope, tag, variant) > (?, ?, ?) ORDER BY scope, tag, variant LIMIT ?`,
    );
    this.#removeTag = database.prepare('DELETE FROM tag WHERE scope = ? AND tag = ? AND variant = ?');
  }

  step(): void {
    const nowMs = this.#deps.clock.now();
    // What is of a time to come was noted by a clock that has been set back since.
    const isOld = (atMs: number) => Math.abs(nowMs - atMs) > dayMs;
    this.#deps.database.transaction(() => {
      this.#stepLinks(isOld);
      this.#stepTags(isOld);
    });
  }

  #stepLinks(isOld: (atMs: number) => boolean): void {
    const rows = this.#links.all(...this.#link, rowsPerStep);
    const last = rows.length < rowsPerStep ? undefined : rows.at(-1);
    this.#link = last === undefined ? [0, ''] : [integerOf(last, 'scope'), textOf(last, 'digest')];
    const old = rows.filter((row) => isOld(integerOf(row, 'linked'))).map((row) => digestIn(row, 'digest'));
    const orphans = old.filter((digest) => this.#isKnown.get(digest) === undefined);
    if (orphans.length > 0) this.#deps.removal.remove(orphans);
  }

  #stepTags(isOld: (atMs: number) => boolean): void {
    const rows = this.#tags.all(...this.#tag, rowsPerStep);
    const last = rows.length < rowsPerStep ? undefined : rows.at(-1);
    this.#tag =
      last === undefined ? [0, '', ''] : [integerOf(last, 'scope'), textOf(last, 'tag'), textOf(last, 'variant')];
    for (const row of rows) {
      if (integerOf(row, 'known') !== 0 || !isOld(integerOf(row, 'checked'))) continue;
      this.#removeTag.run(integerOf(row, 'scope'), textOf(row, 'tag'), textOf(row, 'variant'));
    }
  }
}
