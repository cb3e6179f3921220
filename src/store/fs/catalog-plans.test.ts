import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { AccessTimes } from './catalog-access-times.ts';
import { BlobTable } from './catalog-blobs.ts';
import { CatalogDatabase } from './catalog-database.ts';
import { ReferenceGraph } from './catalog-graph.ts';
import { CatalogIndex } from './catalog-index.ts';
import { CatalogRemoval } from './catalog-removal.ts';
import { SqliteCatalog } from './catalog-sqlite.ts';
import { CatalogState } from './catalog-state.ts';
import { CatalogTidy } from './catalog-tidy.ts';
import { ImageNames } from './image-names.ts';
import { ImageTable } from './image-table.ts';
import { UseClock } from './use-clock.ts';

/** Remembers what it prepared, and tells how SQLite would go about it. */
class PlanningDatabase extends CatalogDatabase {
  readonly #prepared: string[] = [];

  override prepare(sql: string): ReturnType<CatalogDatabase['prepare']> {
    this.#prepared?.push(sql);
    return super.prepare(sql);
  }

  plans(): { sql: string; steps: string[] }[] {
    return [...this.#prepared].map((sql) => {
      const steps = super.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
      return { sql: sql.replace(/\s+/g, ' '), steps: steps.map(({ detail }) => String(detail)) };
    });
  }
}

function plansOf(prepare: (database: CatalogDatabase) => void) {
  using database = new PlanningDatabase(
    ':memory:',
    () => {},
    () => {},
  );
  prepare(database);
  return database.plans();
}

/** All that asks the catalog anything. */
function prepareAll(database: CatalogDatabase): void {
  const clock = new VirtualClock();
  const changed = () => {};
  const useClock = new UseClock({ clock, database });
  const accessTimes = new AccessTimes({ clock, useClock, database });
  const removal = new CatalogRemoval({ database, changed });
  const parts = [
    new BlobTable(database),
    new ReferenceGraph(database),
    new CatalogIndex(database),
    new SqliteCatalog({ clock, database, accessTimes, changed }),
    new CatalogState(database),
    new CatalogTidy({ clock, database, removal }),
    new ImageTable(database),
    new ImageNames(database),
  ];
  assert.equal(parts.length, 8);
}

describe('what the catalog asks of SQLite', () => {
  it('goes through no table from end to end, however large the cache', () => {
    // One row; no table; rows that a subquery has counted out; the parts of one image; and what is pinned, of which a few are.
    const small = /^SCAN (totals|CONSTANT ROW|\(subquery-\d+\)|part|blob USING COVERING INDEX blob_pinned)$/;
    const plans = plansOf(prepareAll);
    assert.ok(plans.length > 30);
    for (const { sql, steps } of plans) {
      const scans = steps.filter((step) => step.startsWith('SCAN') && !small.test(step));
      assert.deepEqual(scans, [], sql);
      assert.ok(!steps.some((step) => step.includes('TEMP B-TREE')), sql);
    }
  });

  it('writes the index from each manifest on, not through all that its repository has', () => {
    const plans = plansOf((database) => new CatalogIndex(database));
    assert.equal(plans.length, 2);
    for (const { sql, steps } of plans) {
      assert.deepEqual(
        steps.filter((step) => step.includes('(scope=?)')),
        [],
        sql,
      );
    }
  });
});
