import { type Digest, digestOf } from '../../core/digest.ts';
import { dockerManifest, dockerManifestList, ociIndex, ociManifest } from '../../core/media-types.ts';
import { buildLayer } from './layer.ts';

/** Bytes with the digest that names them. */
export interface Content {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
}

export interface Image {
  readonly manifest: Content;
  readonly config: Content;
  readonly layers: readonly Content[];
  readonly platform: Platform;
  /** Manifest, config and layers together: what pulling it costs. */
  readonly totalBytes: number;
}

/** A multi-architecture image. */
export interface ImageIndex {
  readonly index: Content;
  readonly images: readonly Image[];
  /** The index and every image. */
  readonly totalBytes: number;
}

/** What refers to another manifest by `subject`: a signature, an SBOM. */
export interface Artifact {
  readonly manifest: Content;
  readonly config: Content;
  readonly layers: readonly Content[];
  readonly artifactType: string;
  readonly subject: Digest;
  readonly totalBytes: number;
}

export interface ImageOptions {
  /** Equal seeds and options make equal images. */
  readonly seed: string;
  /** The exact size of each layer's blob. From about 2 KiB on a layer is a gzipped tar that clients can unpack. */
  readonly layerSizes: readonly number[];
  readonly platform?: Platform;
  /** Whose media types; `oci` unless told. */
  readonly flavour?: 'oci' | 'docker';
}

const defaultPlatform: Platform = { os: 'linux', architecture: 'amd64' };
const created = '2020-01-01T00:00:00Z';

const mediaTypes = {
  oci: {
    index: ociIndex,
    manifest: ociManifest,
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
  docker: {
    index: dockerManifestList,
    manifest: dockerManifest,
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
} as const;

export function buildImage(options: ImageOptions): Image {
  const { seed, layerSizes, platform = defaultPlatform, flavour = 'oci' } = options;
  const types = mediaTypes[flavour];
  const place = `${seed}/${platform.os}/${platform.architecture}`;
  const built = layerSizes.map((sizeBytes, n) => buildLayer(`${place}/${n}`, `layer-${n}`, sizeBytes));
  const layers = built.map(({ bytes, digest }) => ({ bytes, digest, mediaType: types.layer }));
  const config = json(types.config, {
    created,
    architecture: platform.architecture,
    os: platform.os,
    config: { Cmd: ['/bin/true'], Labels: { 'org.example.seed': seed } },
    rootfs: { type: 'layers', diff_ids: built.map((layer) => layer.diffId) },
    history: built.map((_, n) => ({ created, created_by: `layer ${n} of ${seed}` })),
  });
  const manifest = json(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: descriptor(config),
    layers: layers.map(descriptor),
  });
  return { manifest, config, layers, platform, totalBytes: sum([manifest, config, ...layers]) };
}

/** An index over images of one seed, one for each platform. */
export function buildIndex(options: ImageOptions & { readonly platforms: readonly Platform[] }): ImageIndex {
  const { platforms, flavour = 'oci' } = options;
  const images = platforms.map((platform) => buildImage({ ...options, platform }));
  const index = json(mediaTypes[flavour].index, {
    schemaVersion: 2,
    mediaType: mediaTypes[flavour].index,
    manifests: images.map((image) => ({ ...descriptor(image.manifest), platform: image.platform })),
  });
  const totalBytes = images.reduce((total, image) => total + image.totalBytes, index.bytes.length);
  return { index, images, totalBytes };
}

export interface ArtifactOptions {
  readonly seed: string;
  readonly subject: Content;
  readonly artifactType: string;
  readonly sizeBytes: number;
}

/** An artifact that refers to `subject` (image-spec "Guidelines for Artifact Usage"). */
export function buildArtifact({ seed, subject, artifactType, sizeBytes }: ArtifactOptions): Artifact {
  const { bytes, digest } = buildLayer(`${seed}/artifact`, 'artifact', sizeBytes);
  const layers = [{ bytes, digest, mediaType: 'application/octet-stream' }];
  const config = json('application/vnd.oci.empty.v1+json', {});
  const manifest = json(ociManifest, {
    schemaVersion: 2,
    mediaType: ociManifest,
    artifactType,
    config: descriptor(config),
    layers: layers.map(descriptor),
    subject: descriptor(subject),
    annotations: { 'org.opencontainers.image.created': created },
  });
  const totalBytes = sum([manifest, config, ...layers]);
  return { manifest, config, layers, artifactType, subject: subject.digest, totalBytes };
}

function json(mediaType: string, value: unknown): Content {
  const bytes = Buffer.from(JSON.stringify(value));
  return { bytes, digest: digestOf(bytes), mediaType };
}

function descriptor({ mediaType, digest, bytes }: Content): { mediaType: string; digest: Digest; size: number } {
  return { mediaType, digest, size: bytes.length };
}

function sum(contents: readonly Content[]): number {
  return contents.reduce((total, content) => total + content.bytes.length, 0);
}
