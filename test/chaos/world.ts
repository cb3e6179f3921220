import type { Content, Image } from '../../src/cli/demo/image.ts';
import { buildLayer } from '../../src/cli/demo/layer.ts';
import { digestOf } from '../../src/core/digest.ts';
import { ociManifest } from '../../src/core/media-types.ts';
import type { Random } from '../../src/flights/testing/random.ts';
import { between, chanceOf } from './seeds.ts';

export const alpha = 'alpha.example';
export const beta = 'beta.example';
/** What clients pull by: moves from image to image of its repository. */
export const movingTag = 'latest';

/** An image in a repository of an upstream, where it has a tag of its own that never moves. */
export interface Placed {
  readonly upstream: typeof alpha | typeof beta;
  readonly repository: string;
  readonly tag: string;
  readonly image: Image;
}

/** All there is to pull. Its bytes lie in shared memory: threads get it without a copy. */
export interface World {
  /** The one that is asked for most comes first. */
  readonly images: readonly Placed[];
  /** Every content once. */
  readonly totalBytes: number;
  /** The blob that no cache of this world can hold is larger than this, all others are smaller. */
  readonly cacheBytes: number;
}

export interface WorldOptions {
  readonly seed: number;
  readonly images: number;
  /** Layers of more than 32 MiB, so that they are worth splitting. */
  readonly largeLayers: number;
}

const mebibyte = 2 ** 20;
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** A world whose every bit follows from the seed: mostly small layers, some shared by repositories and upstreams. */
export function buildWorld({ seed, images, largeLayers }: WorldOptions): World {
  const bases = Array.from({ length: Math.ceil(images / 12) }, (_, n) => layer(seed, `base-${n}`));
  const large = (n: number) =>
    sharedLayer(`${seed}/large-${n}`, between(chanceOf(seed, 'large', n), 33, 40) * mebibyte);
  const places = Array.from({ length: images }, (_, n) => {
    const chance = chanceOf(seed, 'image', n);
    const own = Array.from({ length: between(chance, 1, 4) }, (_, m) => layer(seed, `image-${n}-${m}`));
    const base = chance.chance(0.6) ? [chance.pick(bases) ?? layer(seed, 'base-0')] : [];
    // Spread over the ranks, but not among those that are pulled all the time.
    const isLarge =
      n % Math.floor(images / (largeLayers + 1)) === 0 && n > 0 && n / (images / (largeLayers + 1)) <= largeLayers;
    return place(seed, n, [...base, ...own, ...(isLarge ? [large(n)] : [])]);
  });
  const cacheBytes = Math.max(36 * mebibyte, Math.round(0.4 * bytesOf(places)));
  const oversize = place(seed, images, [sharedLayer(`${seed}/oversize`, cacheBytes + 2 * mebibyte)]);
  const all = [...places, oversize];
  return { images: all, totalBytes: bytesOf(all), cacheBytes };
}

/** Every content of an image, its manifest first. */
export function contentsOf({ manifest, config, layers }: Image): readonly Content[] {
  return [manifest, config, ...layers];
}

/** The images of a repository, in the order in which `movingTag` first meets them. */
export function siblings(world: World, { upstream, repository }: Placed): readonly Placed[] {
  return world.images.filter((other) => other.repository === repository && other.upstream === upstream);
}

function place(seed: number, n: number, layers: readonly Content[]): Placed {
  const upstream = n % 3 === 2 ? beta : alpha;
  const repository = `org-${n % 5}/app-${Math.floor(n / 5) % 8}`;
  return { upstream, repository, tag: `v${n}`, image: assemble(`${seed}/${n}`, layers) };
}

function layer(seed: number, name: string): Content {
  return sharedLayer(`${seed}/${name}`, sizeOf(chanceOf(seed, 'size', name)));
}

/** From a byte to some mebibytes, most of them small. */
function sizeOf(chance: Random): number {
  const draw = chance.next();
  if (draw < 0.08) return between(chance, 1, 100);
  if (draw < 0.4) return between(chance, 100, 8 * 1024);
  if (draw < 0.8) return between(chance, 8 * 1024, 256 * 1024);
  if (draw < 0.97) return between(chance, 256 * 1024, 3 * mebibyte);
  return between(chance, 3 * mebibyte, 10 * mebibyte);
}

function sharedLayer(seed: string, sizeBytes: number): Content {
  const { bytes, digest } = buildLayer(seed, 'layer', sizeBytes);
  return { bytes: shared(bytes), digest, mediaType: layerType };
}

function assemble(seed: string, layers: readonly Content[]): Image {
  const platform = { os: 'linux', architecture: 'amd64' };
  const labels = { 'org.example.seed': seed };
  const config = json('application/vnd.oci.image.config.v1+json', {
    ...platform,
    config: { Labels: labels },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest = json(ociManifest, {
    schemaVersion: 2,
    mediaType: ociManifest,
    config: descriptorOf(config),
    layers: layers.map(descriptorOf),
  });
  const contents = [manifest, config, ...layers];
  return { manifest, config, layers, platform, totalBytes: contents.reduce((sum, { bytes }) => sum + bytes.length, 0) };
}

function json(mediaType: string, value: unknown): Content {
  const bytes = Buffer.from(JSON.stringify(value));
  return { bytes: shared(bytes), digest: digestOf(bytes), mediaType };
}

function descriptorOf({ mediaType, digest, bytes }: Content): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest, size: bytes.length };
}

function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

function bytesOf(images: readonly Placed[]): number {
  const contents = new Map(
    images.flatMap(({ image }) => contentsOf(image)).map((one) => [one.digest, one.bytes.length]),
  );
  return [...contents.values()].reduce((sum, bytes) => sum + bytes, 0);
}
