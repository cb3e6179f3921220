import { LRUCache } from 'lru-cache';
import { type Digest, parseDigest } from '../core/digest.ts';
import { manifestReferences, maxManifestBytes } from '../core/manifest-references.ts';
import { isIndexMediaType } from '../core/media-types.ts';
import { type Platform, platformOf, platformText } from '../core/platform.ts';
import type { ContentStore } from '../store/content-store.ts';

const mostShown = 100;
const foreignKnown = 1000;
const maxConfigBytes = 2 ** 20;

/** A platform, and the manifest of the image for it. */
export interface ListedPlatform {
  readonly platform: string;
  readonly manifest: Digest;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Which platforms an image is for, from what is here of it: what an index says of the manifests that it lists, or else the
 * image's own configuration. A digest means the same for ever, so it is looked at once.
 */
export class ImagePlatforms {
  readonly #store: Pick<ContentStore, 'look'>;
  readonly #known = new LRUCache<Digest, readonly ListedPlatform[]>({ max: 10_000 });
  /** What a manifest references that no client fetches from its repository. */
  readonly #foreign = new LRUCache<Digest, ReadonlySet<Digest>>({ max: foreignKnown });

  constructor(deps: { readonly store: Pick<ContentStore, 'look'> }) {
    this.#store = deps.store;
  }

  /** Empty where that is not known. Never rejects. */
  async of(manifest: Digest, mediaType: string): Promise<readonly ListedPlatform[]> {
    const known = this.#known.get(manifest);
    if (known !== undefined) return known;
    try {
      const document = await this.#read(manifest, maxManifestBytes);
      if (document === undefined) return [];
      const platforms = isIndexMediaType(mediaType) ? listedIn(document) : await this.#ofConfig(document, manifest);
      if (platforms !== undefined) this.#known.set(manifest, platforms);
      return platforms ?? [];
    } catch {
      // What cannot be read, or is no JSON, says nothing.
      return [];
    }
  }

  /**
   * Whether what is missing of a manifest is to come from elsewhere: its layers that are not distributed with it. What is here
   * is whole then. Never rejects.
   */
  async isForeign(manifest: Digest, missing: readonly Digest[]): Promise<boolean> {
    if (missing.includes(manifest)) return false;
    try {
      const known = this.#foreign.get(manifest);
      const bytes = known === undefined ? await this.#store.look(manifest, maxManifestBytes) : undefined;
      const foreign = known ?? (bytes === undefined ? new Set<Digest>() : foreignIn(bytes));
      if (known === undefined && bytes !== undefined) this.#foreign.set(manifest, foreign);
      return missing.every((digest) => foreign.has(digest));
    } catch {
      return false;
    }
  }

  async #ofConfig({ config }: Json, manifest: Digest): Promise<readonly ListedPlatform[] | undefined> {
    const digest = isObject(config) && typeof config.digest === 'string' ? parseDigest(config.digest) : undefined;
    const document = digest && (await this.#read(digest, maxConfigBytes));
    if (document === undefined) return undefined;
    const platform = platformOf(document);
    return platform === undefined ? [] : [{ platform: platformText(platform), manifest }];
  }

  async #read(digest: Digest, maxBytes: number): Promise<Json | undefined> {
    const bytes = await this.#store.look(digest, maxBytes);
    return bytes && parseObject(bytes);
  }
}

function listedIn(index: Json): readonly ListedPlatform[] {
  const listed = [...platformsByDigest(index)].slice(0, mostShown);
  return listed.map(([manifest, platform]) => ({ platform: platformText(platform), manifest }));
}

function foreignIn(bytes: Uint8Array): Set<Digest> {
  const { blobs } = manifestReferences(bytes, '');
  return new Set(blobs.filter(({ provesPossession }) => !provesPossession).map(({ digest }) => digest));
}

/** Of an index: which platform each manifest is for, as far as it says. */
export function listedPlatforms(bytes: Uint8Array): Map<Digest, Platform> {
  return platformsByDigest(parseObject(bytes) ?? {});
}

function platformsByDigest({ manifests }: Json): Map<Digest, Platform> {
  const platforms = new Map<Digest, Platform>();
  for (const listed of Array.isArray(manifests) ? manifests : []) {
    if (!isObject(listed) || typeof listed.digest !== 'string') continue;
    const digest = parseDigest(listed.digest);
    const platform = platformOf(listed.platform);
    if (digest !== undefined && platform !== undefined) platforms.set(digest, platform);
  }
  return platforms;
}

function parseObject(bytes: Uint8Array): Json | undefined {
  const document: unknown = JSON.parse(new TextDecoder().decode(bytes));
  return isObject(document) ? document : undefined;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
