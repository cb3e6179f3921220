import { ChangeCount } from '../../core/change-count.ts';
import type { Digest } from '../../core/digest.ts';
import { type Scope, scopeKey, scopeName } from '../../core/scope.ts';
import type { Catalog, LinkRecord, ManifestRecord, TagRecord } from '../catalog.ts';

interface ScopeEntry {
  readonly name: string;
  readonly links: Map<Digest, LinkRecord>;
  readonly tags: Map<string, TagRecord>;
}

/** The catalog in maps, for tests. Nothing ever leaves it, so links have no use for their origin. */
export class MemoryCatalog implements Catalog {
  readonly #manifests = new Map<Digest, ManifestRecord>();
  readonly #scopes = new Map<string, ScopeEntry>();
  readonly #changes: ChangeCount;

  constructor(deps: { readonly changes: ChangeCount } = { changes: new ChangeCount() }) {
    this.#changes = deps.changes;
  }

  addManifest(manifest: ManifestRecord): void {
    if (this.#manifests.has(manifest.digest)) return;
    this.#manifests.set(manifest.digest, { ...manifest, references: [...new Set(manifest.references)] });
  }

  manifest(digest: Digest): ManifestRecord | undefined {
    return this.#manifests.get(digest);
  }

  link(scope: Scope, contents: readonly LinkRecord[]): void {
    if (contents.length === 0) return;
    const { links } = this.#entry(scope);
    for (const { digest, sizeBytes, mediaType } of contents) {
      const known = links.get(digest);
      links.set(digest, {
        digest,
        sizeBytes: sizeBytes ?? known?.sizeBytes,
        mediaType: mediaType ?? known?.mediaType,
      });
      if (isOther(sizeBytes, known?.sizeBytes) || isOther(mediaType, known?.mediaType)) this.#changes.bump();
    }
  }

  linked(scope: Scope, digest: Digest): LinkRecord | undefined {
    return this.#scopes.get(scopeKey(scope))?.links.get(digest);
  }

  setTag(scope: Scope, tag: string, variant: string, { digest, checkedAtMs }: TagRecord): void {
    const { tags } = this.#entry(scope);
    const key = tagKey(tag, variant);
    const before = tags.get(key);
    tags.set(key, { digest, checkedAtMs });
    if (before !== undefined && (digest !== before.digest || checkedAtMs < before.checkedAtMs)) this.#changes.bump();
  }

  tag(scope: Scope, tag: string, variant: string): TagRecord | undefined {
    return this.#scopes.get(scopeKey(scope))?.tags.get(tagKey(tag, variant));
  }

  removeTag(scope: Scope, tag: string, variant: string): void {
    if (this.#scopes.get(scopeKey(scope))?.tags.delete(tagKey(tag, variant))) this.#changes.bump();
  }

  repositories(after: string | undefined, limit: number): string[] {
    const names = new Set<string>();
    for (const { name, links } of this.#scopes.values()) {
      if ((after === undefined || name > after) && links.keys().some((digest) => this.#manifests.has(digest))) {
        names.add(name);
      }
    }
    return [...names].sort().slice(0, limit);
  }

  touch(_digest: Digest): void {}

  #entry(scope: Scope): ScopeEntry {
    const key = scopeKey(scope);
    const known = this.#scopes.get(key);
    if (known !== undefined) return known;
    const entry: ScopeEntry = { name: scopeName(scope), links: new Map(), tags: new Map() };
    this.#scopes.set(key, entry);
    return entry;
  }
}

/** Whether something known became something else. */
function isOther<T>(now: T | undefined, before: T | undefined): boolean {
  return now !== undefined && before !== undefined && now !== before;
}

/** A tag holds no space. */
function tagKey(tag: string, variant: string): string {
  return `${tag} ${variant}`;
}
