import { setImmediate } from 'node:timers/promises';
import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { formatSize } from '../core/units.ts';
import type { ContentStore } from '../store/content-store.ts';
import type { ImageRecord, Images } from '../store/images.ts';
import type { Channels } from '../telemetry/channels.ts';
import type { NameResolver } from './depot.ts';
import { type ImageName, imageName, parseImageName } from './image-name.ts';
import { ImagePlatforms } from './image-platforms.ts';
import type { ImageSnapshot, ImagesPage, ImagesQuery, PartialPlatform, PurgeSnapshot } from './image-snapshot.ts';
import type { PullBoard } from './pull-board.ts';
import { Slots } from './slots.ts';

export interface CachedImagesDeps {
  readonly channels: Pick<Channels, 'notice'>;
  readonly images: Images;
  readonly store: Pick<ContentStore, 'look'>;
  readonly names: NameResolver;
  readonly board: Pick<PullBoard, 'pullsByName'>;
  readonly depot: { forget(digests: readonly Digest[]): void };
}

type Platforms = Pick<ImageSnapshot, 'platforms' | 'otherPlatforms'>;

const looksAtOnce = 8;
/** What is left for everything else. */
const mostPinned = 0.9;

/** The images of the cache, for operators: what is here, what is to stay, what is to go. */
export class CachedImages {
  readonly #deps: CachedImagesDeps;
  readonly #options: { readonly maxSizeBytes: number };
  readonly #platforms: ImagePlatforms;
  readonly #slots = new Slots(looksAtOnce);

  constructor(deps: CachedImagesDeps, options: { readonly maxSizeBytes: number }) {
    this.#deps = deps;
    this.#options = options;
    this.#platforms = new ImagePlatforms(deps);
  }

  count(): number {
    return this.#deps.images.count();
  }

  async list(query: ImagesQuery, signal: AbortSignal): Promise<ImagesPage> {
    const { images, total, next } = await this.#deps.images.list(query, signal);
    const pulls = this.#deps.board.pullsByName();
    const shown = images.map((image) => this.#slots.run(() => this.#snapshot(image, pulls), signal));
    return { images: await Promise.all(shown), total, after: next };
  }

  /** Takes an image out. Rejects with IMAGE_UNKNOWN, or with IMAGE_KEPT where it is pinned or a part of another one. */
  async purge(text: string): Promise<PurgeSnapshot> {
    const { channels, depot, images } = this.#deps;
    const { name, scope, reference } = this.#named(text);
    const purged = await images.purge(scope, reference);
    if (purged === undefined) throw unknown(name);
    depot.forget(purged.digests);
    const following = purged.blobs.filter(({ isInUse }) => isInUse);
    const freedBytes = purged.blobs.reduce((sum, { sizeBytes, isInUse }) => sum + (isInUse ? 0 : sizeBytes), 0);
    const fields = { image: name, blobs: purged.blobs.length, bytes: freedBytes, following: following.length };
    channels.notice.publish({ level: 'info', message: `${name} was purged`, fields });
    return {
      removed: purged.names,
      blobs: purged.blobs.length,
      freedBytes,
      following: following.map(({ digest, sizeBytes }) => ({ digest, sizeBytes })),
    };
  }

  /** Rejects with IMAGE_UNKNOWN: what is not here cannot be kept here. */
  setPinned(text: string, isPinned: boolean): { readonly image: string; readonly isPinned: boolean } {
    const { name, scope, reference } = this.#named(text);
    if (!this.#deps.images.setPinned(scope, reference, isPinned)) throw unknown(name);
    const message = `${name} was ${isPinned ? 'pinned' : 'unpinned'}`;
    this.#deps.channels.notice.publish({ level: 'info', message, fields: { image: name } });
    return { image: name, isPinned };
  }

  /** What is wrong, in words. */
  warnings(): string[] {
    const pinnedBytes = this.#deps.images.pinnedBytes();
    const { maxSizeBytes } = this.#options;
    if (pinnedBytes < maxSizeBytes * mostPinned) return [];
    const taken = `pinned images take ${formatSize(pinnedBytes)} of ${formatSize(maxSizeBytes)} (storage.maxSize)`;
    return [`${taken}: little else can be kept; unpin some, or raise the bound`];
  }

  /** As it is listed, also of a registry that is configured no more; else as a client would name it. */
  #named(text: string): ImageName {
    const listed = this.#deps.images.named(text);
    if (listed !== undefined) return { ...listed, name: imageName(listed.scope, listed.reference) };
    return parseImageName(text, this.#deps.names);
  }

  /** An index may list several manifests for one platform: the one of which most is here counts. */
  async #platformsOf({ scope, manifest, mediaType }: ImageRecord): Promise<Platforms> {
    const listed = await this.#platforms.of(manifest, mediaType);
    const whole = new Set<string>();
    const others = new Map<string, PartialPlatform>();
    // Each takes some microseconds of everybody's time for each of its parts.
    await setImmediate();
    for (const { platform, manifest: child } of listed) {
      const { missing, sizeBytes, storedBytes } = this.#deps.images.extent(scope, child);
      const isWhole = missing.length === 0 || (await this.#platforms.isForeign(child, missing));
      if (isWhole) whole.add(platform);
      else if (storedBytes >= (others.get(platform)?.storedBytes ?? 0)) {
        others.set(platform, { platform, sizeBytes, storedBytes });
      }
    }
    for (const platform of whole) others.delete(platform);
    return { platforms: [...whole], otherPlatforms: [...others.values()] };
  }

  async #snapshot(image: ImageRecord, pulls: ReadonlyMap<string, number>): Promise<ImageSnapshot> {
    const { name, manifest, mediaType, sizeBytes, storedBytes, lastUsedAtMs, cachedAtMs, isPinned } = image;
    return {
      image: name,
      manifest,
      mediaType,
      ...(await this.#platformsOf(image)),
      sizeBytes,
      storedBytes,
      pulls: pulls.get(name),
      lastUsedAtMs,
      cachedAtMs,
      isPinned,
    };
  }
}

function unknown(name: string): AppError {
  return new AppError('IMAGE_UNKNOWN', `${name} is not in the cache`, { details: { image: name } });
}
