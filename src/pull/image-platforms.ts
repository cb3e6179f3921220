import { LRUCache } from 'lru-cache';
import { type Digest, parseDigest } from '../core/digest.ts';
import { maxManifestBytes } from '../core/manifest-references.ts';
import { isIndexMediaType } from '../core/media-types.ts';
import { type Platform, platformOf, platformText } from '../core/platform.ts';
import type { ContentStore } from '../store/content-store.ts';

const mostShown = 100;
const maxConfigBytes = 2 ** 20;

type Json = Readonly<Record<string, unknown>>;

/**
 * Which platforms an image is for, from what is here of it: what an index says of the manifests that it lists, or else the
 * image's own configuration. A digest means the same for ever, so it is looked at once.
 */
export class ImagePlatforms {
  readonly #store: Pick<ContentStore, 'look'>;
  readonly #known = new LRUCache<Digest, readonly string[]>({ max: 10_000 });

  constructor(deps: { readonly store: Pick<ContentStore, 'look'> }) {
    this.#store = deps.store;
  }

  /** Empty where that is not known. Never rejects. */
  async of(manifest: Digest, mediaType: string): Promise<readonly string[]> {
    const known = this.#known.get(manifest);
    if (known !== undefined) return known;
    try {
      const document = await this.#read(manifest, maxManifestBytes);
      if (document === undefined) return [];
      const platforms = isIndexMediaType(mediaType) ? listedIn(document) : await this.#ofConfig(document);
      if (platforms !== undefined) this.#known.set(manifest, platforms);
      return platforms ?? [];
    } catch {
      // What cannot be read, or is no JSON, says nothing.
      return [];
    }
  }

  async #ofConfig({ config }: Json): Promise<readonly string[] | undefined> {
    const digest = isObject(config) && typeof config.digest === 'string' ? parseDigest(config.digest) : undefined;
    const document = digest && (await this.#read(digest, maxConfigBytes));
    if (document === undefined) return undefined;
    const platform = platformOf(document);
    return platform === undefined ? [] : [platformText(platform)];
  }

  async #read(digest: Digest, maxBytes: number): Promise<Json | undefined> {
    const bytes = await this.#store.look(digest, maxBytes);
    return bytes && parseObject(bytes);
  }
}

function listedIn(index: Json): readonly string[] {
  const platforms = platformsByDigest(index).values();
  return [...new Set([...platforms].map(platformText))].slice(0, mostShown);
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
