import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import type { Digest } from '../../core/digest.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { sampleDigest, sampleScope } from '../testing/sample-content.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { BlobTable } from './catalog-blobs.ts';
import { CatalogDatabase } from './catalog-database.ts';
import { CatalogRemoval } from './catalog-removal.ts';
import { migrations } from './catalog-schema.ts';
import { SqliteCatalog } from './catalog-sqlite.ts';
import { ImageNames } from './image-names.ts';
import { ImageTable } from './image-table.ts';

const mediaType = 'application/vnd.oci.image.manifest.v1+json';
const seeds = [1, 2, 3, 4, 5, 6];

function quietDatabase(): CatalogDatabase {
  return new CatalogDatabase(
    ':memory:',
    () => {},
    () => {},
  );
}

function partsOn(database: CatalogDatabase) {
  const clock = new VirtualClock();
  const changed = () => {};
  const catalog = new SqliteCatalog({ clock, database, accessTimes: { touch: () => {} }, changed });
  const [blobs, removal] = [new BlobTable(database), new CatalogRemoval({ database, changed })];
  return { clock, catalog, blobs, removal, table: new ImageTable(database), names: new ImageNames(database) };
}

/** What the table of images has to hold, as its description says it, from all the other tables. */
const imagesAsDescribed = `
  SELECT DISTINCT scope.name || ':' || tag.tag AS name, tag.digest FROM tag JOIN scope ON scope.id = tag.scope
    JOIN manifest ON manifest.digest = tag.digest
  UNION ALL
  SELECT scope.name || '@' || link.digest, link.digest FROM link JOIN scope ON scope.id = link.scope
    JOIN manifest ON manifest.digest = link.digest
    WHERE NOT EXISTS (SELECT 1 FROM reference WHERE child = link.digest)
      AND NOT EXISTS (SELECT 1 FROM tag WHERE tag.digest = link.digest AND tag.scope = link.scope)
  ORDER BY name, 2`;

const pinsAsDescribed = `
  SELECT digest, (EXISTS (SELECT 1 FROM pin WHERE pin.tag = '' AND pin.digest = blob.digest) OR EXISTS (
    SELECT 1 FROM tag JOIN pin ON pin.scope = tag.scope AND pin.tag = tag.tag AND pin.digest = ''
    WHERE tag.digest = blob.digest)) AS pinned FROM blob ORDER BY digest`;

const straysAsDescribed = `
  SELECT coalesce(sum(size), 0), count(*) AS n FROM blob
  WHERE NOT EXISTS (SELECT 1 FROM manifest WHERE manifest.digest = blob.digest)
    AND NOT EXISTS (SELECT 1 FROM reference WHERE reference.child = blob.digest) AND pinned = 0`;

function assertAsDescribed(database: CatalogDatabase, said: string): void {
  const all = (sql: string) => database.prepare(sql).all();
  const images = all('SELECT name, digest FROM image ORDER BY name, digest');
  assert.deepEqual(images, all(imagesAsDescribed), said);
  assert.equal(all('SELECT images FROM totals')[0]?.images, images.length, said);
  assert.deepEqual(all('SELECT digest, pinned != 0 AS pinned FROM blob ORDER BY digest'), all(pinsAsDescribed), said);
  const [totals] = all('SELECT stray_bytes, strays FROM totals');
  assert.deepEqual([totals?.stray_bytes, totals?.strays], Object.values(all(straysAsDescribed)[0] ?? {}), said);
  const used = 'SELECT image.used, blob.accessed FROM image JOIN blob ON blob.digest = image.digest';
  for (const row of all(used)) assert.ok(Number(row.used) >= Number(row.accessed), said);
}

describe('the table of images', () => {
  for (const seed of seeds) {
    it(`follows whatever becomes of tags, links, manifests, references and content (seed ${seed})`, () => {
      let state = seed * 2654435761;
      const below = (n: number) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state % n;
      };
      using database = quietDatabase();
      const { clock, catalog, blobs, removal, table, names } = partsOn(database);
      const digests = Array.from({ length: 12 }, (_, n) => sampleDigest(`${n}`));
      const digest = (): Digest => digests[below(digests.length)] ?? sampleDigest('0');
      const scope = () => sampleScope(['a', 'b', 'c'][below(3)] ?? 'a');
      const tag = () => ['one', 'two', 'three'][below(3)] ?? 'one';
      const variant = () => ['1111', '1000'][below(2)] ?? '1111';
      const pin = (isPinned: boolean) => {
        const id = table.scopeId(scope());
        const named = table.named(`docker.io/${['a', 'b'][below(2)]}:${tag()}`);
        if (id !== undefined) names.setPinned(id, named?.reference ?? { kind: 'digest', digest: digest() }, isPinned);
      };
      const steps: Record<string, () => void> = {
        manifest: () => {
          // An index comes after what it lists, or before: a manifest of a lower number is listed by one of a higher.
          const at = 1 + below(digests.length - 1);
          const references = digests.slice(0, at).filter(() => below(4) === 0);
          catalog.addManifest({ digest: digests[at] ?? digest(), mediaType, sizeBytes: 10, references });
        },
        link: () => {
          const at = digest();
          const sizeBytes = 10 + digests.indexOf(at);
          catalog.link(scope(), [{ digest: at, sizeBytes, mediaType }], below(2) === 0 ? 'manifest' : 'confirmed');
        },
        tag: () => {
          const [into, at] = [scope(), digest()];
          catalog.link(into, [{ digest: at, sizeBytes: 10 + digests.indexOf(at), mediaType }], 'confirmed');
          catalog.setTag(into, tag(), variant(), { digest: at, checkedAtMs: clock.now() });
        },
        untag: () => catalog.removeTag(scope(), tag(), variant()),
        blob: () => {
          const at = digest();
          blobs.add(at, 10 + digests.indexOf(at), clock.now() + below(1000));
        },
        lost: () => blobs.remove(digest()),
        leave: () => removal.remove([digest()]),
        forget: () => {
          const id = table.scopeId(scope());
          if (id !== undefined) removal.forget(id, digest());
        },
        pin: () => pin(true),
        unpin: () => pin(false),
        measure: () => {
          for (const { id, scopeId, manifest } of table.unsized(3)) {
            table.setSizes([{ id, sizeBytes: table.measure(scopeId, manifest).sizeBytes }]);
          }
        },
      };
      const kinds = Object.keys(steps);
      const done: string[] = [];
      for (let step = 0; step < 400; step++) {
        clock.advance(1);
        const kind = kinds[below(kinds.length)] ?? 'tag';
        done.push(kind);
        steps[kind]?.();
        assertAsDescribed(database, `seed ${seed}, step ${step}: ${done.slice(-5).join(', ')}`);
      }
    });
  }

  it('an index is counted anew when a manifest that it lists becomes known, or is forgotten', () => {
    using database = quietDatabase();
    const { catalog, removal, table } = partsOn(database);
    const [index, child, layer] = [sampleDigest('index'), sampleDigest('child'), sampleDigest('layer')];
    const scope = sampleScope('a');
    const size = (): number => {
      for (const { id, scopeId, manifest } of table.unsized(10)) {
        table.setSizes([{ id, sizeBytes: table.measure(scopeId, manifest).sizeBytes }]);
      }
      return table.row(table.slice('name', '', undefined, 1)[0]?.place.id ?? 0)?.sizeBytes ?? 0;
    };
    catalog.addManifest({ digest: index, mediaType, sizeBytes: 10, references: [child] });
    catalog.link(scope, [
      { digest: index, sizeBytes: 10, mediaType },
      { digest: child, sizeBytes: 7, mediaType },
    ]);
    catalog.setTag(scope, 'one', '1111', { digest: index, checkedAtMs: 1 });
    assert.equal(size(), 17);
    catalog.addManifest({ digest: child, mediaType, sizeBytes: 7, references: [layer] });
    catalog.link(scope, [{ digest: layer, sizeBytes: 1000, mediaType }]);
    assert.equal(size(), 1017);
    removal.remove([child]);
    assert.equal(size(), 10);
  });

  it('is made from what a catalog of an earlier release holds', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'catalog.db');
    const [index, child, other] = [sampleDigest('index'), sampleDigest('child'), sampleDigest('other')];
    using earlier = new DatabaseSync(path);
    for (const migration of migrations.slice(0, 2)) earlier.exec(migration);
    earlier.exec("PRAGMA user_version = 2; INSERT INTO scope VALUES (1, 'docker.io', 'a', 'shared')");
    for (const digest of [index, child, other]) {
      earlier.exec(`INSERT INTO manifest VALUES ('${digest}', '${mediaType}', 10);
        INSERT INTO blob (digest, size, accessed) VALUES ('${digest}', 10, 1000);
        INSERT INTO link VALUES (1, '${digest}', 10, '${mediaType}', 1, 500)`);
    }
    earlier.exec(`INSERT INTO reference VALUES ('${index}', '${child}');
      INSERT INTO tag VALUES (1, 'one', '1111', '${index}', 700); INSERT INTO tag VALUES (1, 'one', '1000', '${index}', 700)`);
    earlier.close();
    using database = new CatalogDatabase(
      path,
      () => {},
      () => {},
    );
    const images = database.prepare('SELECT name, used, cached, size FROM image ORDER BY name').all();
    const times = { used: 1000, cached: 500, size: -1 };
    assert.deepEqual(
      images.map((row) => ({ ...row })),
      [
        { name: 'docker.io/a:one', ...times },
        { name: `docker.io/a@${other}`, ...times },
      ],
    );
    assertAsDescribed(database, 'after the migration');
  });
});
