import { readFile, stat } from 'node:fs/promises';
import { algorithmOf, type Digest, digestOf } from '../../core/digest.ts';
import { type ManifestReferences, manifestReferences, maxManifestBytes } from '../../core/manifest-references.ts';
import type { Reference } from '../../core/reference.ts';
import type { Scope } from '../../core/scope.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { Catalog } from '../catalog.ts';
import type { Layout } from './layout.ts';
import { type IndexEntry, parseIndex } from './layout-index.ts';
import { isMissing, storageError } from './storage-error.ts';

export interface RestoreDeps {
  readonly channels: Channels;
  readonly layout: Layout;
  readonly catalog: Pick<Catalog, 'addManifest' | 'link' | 'setTag'>;
  readonly blobs: { add(digest: Digest, sizeBytes: number, accessedAtMs: number): void };
  readonly pin: (scope: Scope, reference: Reference) => void;
  readonly transaction: <T>(work: () => T) => T;
}

interface FoundManifest extends ManifestReferences {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly modifiedAtMs: number;
}

const entriesAtOnce = 32;

// An index lists manifests, an index of indexes is rare, and no client follows more.
const maxDepth = 4;

/**
 * Brings tags, links, references and pins back from `index.json` and the manifests on disk, for a catalog that was lost.
 * A manifest is believed only if its bytes have its digest; what is not on disk is left out. Repeating it is harmless.
 */
export async function restoreCatalog(deps: RestoreDeps): Promise<void> {
  const entries = await readIndex(deps);
  let tags = 0;
  for (let start = 0; start < entries.length; start += entriesAtOnce) {
    const batch = entries.slice(start, start + entriesAtOnce);
    const found = await Promise.all(batch.map((entry) => findManifests(deps.layout, entry.digest, entry.mediaType, 0)));
    deps.transaction(() => {
      for (const [position, entry] of batch.entries()) {
        const manifests = found[position] ?? [];
        if (manifests.length > 0 && entry.tag !== undefined) tags++;
        restoreEntry(deps, entry, manifests);
      }
    });
  }
  if (entries.length === 0) return;
  const fields = { manifests: entries.length, tags };
  deps.channels.notice.publish({ level: 'info', message: 'restored the catalog from index.json', fields });
}

async function readIndex({ layout, channels }: RestoreDeps): Promise<IndexEntry[]> {
  try {
    return parseIndex(await readFile(layout.index, 'utf8'));
  } catch (error) {
    if (!isMissing(error)) {
      const message = `cannot read ${layout.index}`;
      channels.notice.publish({ level: 'warn', message, error: storageError(error, 'read index.json') });
    }
    return [];
  }
}

function restoreEntry(
  { catalog, blobs, pin }: RestoreDeps,
  { scope, tag, pinnedBy }: IndexEntry,
  manifests: FoundManifest[],
): void {
  const [root] = manifests;
  if (root === undefined) return;
  catalog.link(scope, [{ digest: root.digest, sizeBytes: root.sizeBytes, mediaType: root.mediaType }]);
  for (const manifest of manifests) {
    const { digest, mediaType, sizeBytes, modifiedAtMs } = manifest;
    blobs.add(digest, sizeBytes, modifiedAtMs);
    const references = [...manifest.children, ...manifest.blobs];
    catalog.addManifest({ digest, mediaType, sizeBytes, references: references.map((child) => child.digest) });
    linkReferences(catalog, scope, manifest);
  }
  if (tag !== undefined) {
    catalog.setTag(scope, tag.tag, tag.variant, { digest: root.digest, checkedAtMs: tag.checkedAtMs });
    if (pinnedBy.includes('tag')) pin(scope, { kind: 'tag', tag: tag.tag });
  }
  if (pinnedBy.includes('digest')) pin(scope, { kind: 'digest', digest: root.digest });
}

function linkReferences(catalog: Pick<Catalog, 'link'>, scope: Scope, manifest: FoundManifest): void {
  const references = [...manifest.children, ...manifest.blobs];
  catalog.link(
    scope,
    references.filter((child) => child.provesPossession),
  );
}

/** The manifest and those that it lists, as far as they are on disk and sound; itself first. */
async function findManifests(layout: Layout, digest: Digest, mediaType: string, depth: number) {
  const manifest = await findManifest(layout, digest, mediaType);
  const found: FoundManifest[] = manifest === undefined ? [] : [manifest];
  if (manifest === undefined || depth >= maxDepth) return found;
  for (const child of manifest.children) {
    found.push(...(await findManifests(layout, child.digest, child.mediaType, depth + 1)));
  }
  return found;
}

async function findManifest(layout: Layout, digest: Digest, mediaType: string): Promise<FoundManifest | undefined> {
  const path = layout.blob(digest);
  try {
    const { size, mtimeMs } = await stat(path);
    if (size > maxManifestBytes) return undefined;
    const bytes = await readFile(path);
    if (digestOf(bytes, algorithmOf(digest)) !== digest) return undefined;
    return { ...manifestReferences(bytes, mediaType), digest, sizeBytes: bytes.byteLength, modifiedAtMs: mtimeMs };
  } catch {
    // Not there, or no manifest: then it is fetched again when somebody asks.
    return undefined;
  }
}
