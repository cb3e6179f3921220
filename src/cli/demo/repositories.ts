import type { Digest } from '../../core/digest.ts';
import { ociIndex } from '../../core/media-types.ts';
import type { Artifact, Content, Image, ImageIndex } from './image.ts';

interface Repository {
  readonly manifests: Map<Digest, Content>;
  readonly blobs: Map<Digest, Content>;
  readonly tags: Map<string, Digest>;
  readonly artifacts: Map<Digest, Artifact>;
}

/** What a registry holds, in memory. A blob belongs to the repositories that it was added to, and to no other. */
export class Repositories {
  readonly #repositories = new Map<string, Repository>();

  /** Adds an image, an index with its images, or an artifact, under any number of tags. */
  add(repository: string, what: Image | ImageIndex | Artifact, ...tags: string[]): void {
    const top = 'index' in what ? what.index : what.manifest;
    const place = this.#place(repository);
    place.manifests.set(top.digest, top);
    for (const { manifest, config, layers } of 'index' in what ? what.images : [what]) {
      place.manifests.set(manifest.digest, manifest);
      for (const blob of [config, ...layers]) place.blobs.set(blob.digest, blob);
    }
    if ('subject' in what) place.artifacts.set(what.manifest.digest, what);
    for (const tag of tags) place.tags.set(tag, top.digest);
  }

  has(repository: string): boolean {
    return this.#repositories.has(repository);
  }

  manifest(repository: string, reference: string): Content | undefined {
    const found = this.#repositories.get(repository);
    return found?.manifests.get(found.tags.get(reference) ?? (reference as Digest));
  }

  blob(repository: string, digest: Digest): Content | undefined {
    return this.#repositories.get(repository)?.blobs.get(digest);
  }

  tags(repository: string): readonly string[] {
    return [...(this.#repositories.get(repository)?.tags.keys() ?? [])].sort();
  }

  /** The response to "Listing Referrers" (distribution-spec): an index, empty where there are none. */
  referrers(repository: string, subject: Digest, artifactType: string | undefined): Uint8Array {
    const artifacts = [...(this.#repositories.get(repository)?.artifacts.values() ?? [])];
    const manifests = artifacts
      .filter((artifact) => artifact.subject === subject)
      .filter((artifact) => artifactType === undefined || artifact.artifactType === artifactType)
      .map(({ manifest, artifactType: type }) => {
        return {
          mediaType: manifest.mediaType,
          digest: manifest.digest,
          size: manifest.bytes.length,
          artifactType: type,
        };
      });
    return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }));
  }

  removeTag(repository: string, tag: string): void {
    this.#place(repository).tags.delete(tag);
  }

  removeBlob(repository: string, digest: Digest): void {
    this.#place(repository).blobs.delete(digest);
  }

  #place(repository: string): Repository {
    const known = this.#repositories.get(repository);
    if (known !== undefined) return known;
    const made = { manifests: new Map(), blobs: new Map(), tags: new Map(), artifacts: new Map() };
    this.#repositories.set(repository, made);
    return made;
  }
}
