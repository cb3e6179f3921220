import type { CatalogDatabase, Query } from './catalog-database.ts';
import { textOf } from './catalog-rows.ts';

/**
 * What the catalog says of itself:
 * `restored`  tags, links and references were taken over from `index.json`, or there was nothing to take over
 * `complete`  every file in `blobs/` has its row: the last use walked them all and ended in order
 * `scrubbed`  the digest that the scrub came to
 */
export type StateName = 'restored' | 'complete' | 'scrubbed';

export class CatalogState {
  readonly #get: Query;
  readonly #set: Query;
  readonly #clear: Query;

  constructor(database: CatalogDatabase) {
    this.#get = database.prepare('SELECT value FROM state WHERE name = ?');
    this.#set = database.prepare(
      'INSERT INTO state (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    );
    this.#clear = database.prepare('DELETE FROM state WHERE name = ?');
  }

  get(name: StateName): string | undefined {
    const row = this.#get.get(name);
    return row === undefined ? undefined : textOf(row, 'value');
  }

  set(name: StateName, value: string): void {
    this.#set.run(name, value);
  }

  clear(name: StateName): void {
    this.#clear.run(name);
  }
}
