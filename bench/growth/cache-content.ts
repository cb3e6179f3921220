import { hash } from 'node:crypto';
import type { Digest } from '../../src/core/digest.ts';
import { ociManifest } from '../../src/core/media-types.ts';
import type { RepositoryName } from '../../src/core/repository-name.ts';
import { type Scope, sharedIdentity } from '../../src/core/scope.ts';
import { registryName } from '../support/subjects/onepull.ts';

const layersPerImage = 8;
/** A manifest, a config and layers of its own. */
export const blobsPerImage: number = 2 + layersPerImage;
const imagesPerRepository = 20;
/** So many images stand on one base layer. */
const imagesPerBase = 1000;

const configType = 'application/vnd.oci.image.config.v1+json';
const layerType = 'application/vnd.oci.image.layer.v1.tar';

export interface SmallBlob {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

/** One image of a cache: small, but with digests that are right and a tag that points at it. */
export interface CachedImage {
  readonly repository: RepositoryName;
  readonly tag: string;
  readonly manifest: SmallBlob;
  /** Config, base layer, own layers: what the manifest references. */
  readonly references: readonly SmallBlob[];
  /** The base layer is stored with the first image that has it. */
  readonly isFirstOfBase: boolean;
}

export function imagesOf(blobs: number): number {
  return Math.max(1, Math.round(blobs / blobsPerImage));
}

/** The `n`th image: always the same, so that nobody has to keep what is in a cache of a million blobs. */
export function cachedImage(n: number): CachedImage {
  const config = blob(configType, JSON.stringify({ os: 'linux', architecture: 'amd64', image: n }));
  const base = blob(layerType, `base ${Math.floor(n / imagesPerBase)}\n`.repeat(50));
  const layers = Array.from({ length: layersPerImage }, (_, layer) => blob(layerType, `${n}/${layer}\n`.repeat(50)));
  const references = [config, base, ...layers];
  const manifest = blob(
    ociManifest,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: descriptor(config),
      layers: [base, ...layers].map(descriptor),
    }),
  );
  return {
    repository: `bench/app-${Math.floor(n / imagesPerRepository)}` as RepositoryName,
    tag: `v${n % imagesPerRepository}`,
    manifest,
    references,
    isFirstOfBase: n % imagesPerBase === 0,
  };
}

/** The scope that its clients ask in. */
export function scopeOf({ repository }: Pick<CachedImage, 'repository'>): Scope {
  return { registry: registryName, repository, identity: sharedIdentity };
}

/** What the image brings along to those before it: the base layer only if it is the first on it. */
export function ownBlobs({ manifest, references, isFirstOfBase }: CachedImage): SmallBlob[] {
  const [config, base, ...layers] = references;
  return [manifest, config, isFirstOfBase ? base : undefined, ...layers].filter((own) => own !== undefined);
}

function blob(mediaType: string, text: string): SmallBlob {
  const bytes = Buffer.from(text);
  return { digest: `sha256:${hash('sha256', bytes)}` as Digest, bytes, mediaType };
}

function descriptor({ mediaType, digest, bytes }: SmallBlob) {
  return { mediaType, digest, size: bytes.length };
}
