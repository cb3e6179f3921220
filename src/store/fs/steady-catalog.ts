import type { Digest } from '../../core/digest.ts';
import { type Scope, scopeKey } from '../../core/scope.ts';
import type { Catalog, LinkOrigin, LinkRecord, ManifestRecord, TagRecord } from '../catalog.ts';
import { MemoryCatalog } from '../memory/memory-catalog.ts';
import type { CatalogBacklog } from './catalog-backlog.ts';

/**
 * The catalog, for as long as it works and when it does not: what it could not be told is remembered and said as if it
 * were in it, so that no pull fails of it, none asks upstream twice, and a tag that is gone stays gone.
 *
 * Invariants: `#overlay` and `#goneTags` hold only what waits in the backlog (see its `epoch`). A question that the
 * catalog cannot answer is answered as if it knew nothing: then upstream is asked (P9: never as if it knew more).
 */
export class SteadyCatalog implements Catalog {
  readonly #catalog: Catalog;
  readonly #backlog: CatalogBacklog;
  #overlay = new MemoryCatalog();
  readonly #goneTags = new Set<string>();
  #epoch = 0;

  constructor(deps: { readonly catalog: Catalog; readonly backlog: CatalogBacklog }) {
    this.#catalog = deps.catalog;
    this.#backlog = deps.backlog;
  }

  addManifest(manifest: ManifestRecord): void {
    this.#write((catalog) => catalog.addManifest(manifest));
  }

  manifest(digest: Digest): ManifestRecord | undefined {
    return this.#read((catalog) => catalog.manifest(digest));
  }

  link(scope: Scope, contents: readonly LinkRecord[], origin?: LinkOrigin): void {
    this.#write((catalog) => catalog.link(scope, contents, origin));
  }

  linked(scope: Scope, digest: Digest): LinkRecord | undefined {
    return this.#read((catalog) => catalog.linked(scope, digest));
  }

  setTag(scope: Scope, tag: string, variant: string, record: TagRecord): void {
    this.#goneTags.delete(tagKey(scope, tag, variant));
    this.#write((catalog) => catalog.setTag(scope, tag, variant, record));
  }

  tag(scope: Scope, tag: string, variant: string): TagRecord | undefined {
    this.#refresh();
    if (this.#goneTags.has(tagKey(scope, tag, variant))) return undefined;
    return this.#read((catalog) => catalog.tag(scope, tag, variant));
  }

  removeTag(scope: Scope, tag: string, variant: string): void {
    if (!this.#write((catalog) => catalog.removeTag(scope, tag, variant))) {
      this.#goneTags.add(tagKey(scope, tag, variant));
    }
  }

  repositories(after: string | undefined, limit: number): string[] {
    this.#refresh();
    const known = this.#backlog.read(() => this.#catalog.repositories(after, limit), []);
    if (this.#backlog.isEmpty) return known;
    const all = new Set([...known, ...this.#overlay.repositories(after, limit)]);
    return [...all].sort().slice(0, limit);
  }

  touch(digest: Digest): void {
    this.#catalog.touch(digest);
  }

  /** Whether it is in the catalog now, and not only remembered. */
  #write(write: (catalog: Catalog) => void): boolean {
    if (this.#backlog.write(() => write(this.#catalog))) return true;
    this.#refresh();
    write(this.#overlay);
    return false;
  }

  #read<T>(read: (catalog: Catalog) => T | undefined): T | undefined {
    this.#refresh();
    const remembered = this.#backlog.isEmpty ? undefined : read(this.#overlay);
    return remembered ?? this.#backlog.read(() => read(this.#catalog), undefined);
  }

  #refresh(): void {
    if (this.#epoch === this.#backlog.epoch) return;
    this.#epoch = this.#backlog.epoch;
    this.#overlay = new MemoryCatalog();
    this.#goneTags.clear();
  }
}

function tagKey(scope: Scope, tag: string, variant: string): string {
  return `${scopeKey(scope)} ${tag} ${variant}`;
}
