import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { acceptVariant } from '../../src/pull/accept.ts';
import { BlobTable } from '../../src/store/fs/catalog-blobs.ts';
import { CatalogDatabase } from '../../src/store/fs/catalog-database.ts';
import { SqliteCatalog } from '../../src/store/fs/catalog-sqlite.ts';
import { CatalogState } from '../../src/store/fs/catalog-state.ts';
import { Layout, prepareLayout } from '../../src/store/fs/layout.ts';
import { nodeDisk } from '../../src/store/fs/node-disk.ts';
import { type CachedImage, cachedImage, imagesOf, ownBlobs, scopeOf } from './cache-content.ts';

export interface BuiltDirectory {
  readonly blobs: number;
  readonly images: number;
  readonly sizeBytes: number;
}

const imagesPerTransaction = 10_000;

/**
 * A data directory as a cache of so many blobs leaves it when it is stopped: every file is there with the bytes that its
 * name says, and the catalog is told of each by the store's own code, in transactions larger than a store in use makes.
 * Files are not synced one by one. `index.json` is left for the store to write.
 */
export async function buildDataDirectory(path: string, blobs: number): Promise<BuiltDirectory> {
  const layout = new Layout(path);
  await prepareLayout(nodeDisk, layout);
  using database = new CatalogDatabase(
    layout.catalog,
    () => {},
    () => {},
  );
  const catalog = new SqliteCatalog({
    clock: systemClock,
    database,
    accessTimes: { touch: () => {} },
    changed: () => {},
  });
  const table = new BlobTable(database);
  const images = imagesOf(blobs);
  const beganAtMs = Date.now() - images;
  for (let from = 0; from < images; from += imagesPerTransaction) {
    const to = Math.min(images, from + imagesPerTransaction);
    const batch = Array.from({ length: to - from }, (_, n) => cachedImage(from + n));
    for (const image of batch) writeFiles(layout, image);
    database.transaction(() => {
      for (const [n, image] of batch.entries()) record(catalog, table, image, beganAtMs + from + n);
    });
  }
  const state = new CatalogState(database);
  state.set('restored', 'yes');
  state.set('complete', 'yes');
  return { ...table.totals(), images };
}

function writeFiles(layout: Layout, image: CachedImage): void {
  for (const { digest, bytes } of ownBlobs(image)) {
    const file = openSync(join(layout.blobFolder('sha256'), digest.slice('sha256:'.length)), 'w');
    writeSync(file, bytes);
    closeSync(file);
  }
}

function record(catalog: SqliteCatalog, table: BlobTable, image: CachedImage, usedAtMs: number): void {
  const { manifest, references, tag } = image;
  const scope = scopeOf(image);
  const link = ({ digest, bytes, mediaType }: CachedImage['manifest']) => {
    return { digest, sizeBytes: bytes.length, mediaType };
  };
  catalog.addManifest({ ...link(manifest), references: references.map(({ digest }) => digest) });
  for (const { digest, bytes } of ownBlobs(image)) table.add(digest, bytes.length, usedAtMs);
  catalog.link(scope, [link(manifest)], 'confirmed');
  catalog.link(scope, references.map(link), 'manifest');
  catalog.setTag(scope, tag, acceptVariant(undefined).key, { digest: manifest.digest, checkedAtMs: Date.now() });
}
