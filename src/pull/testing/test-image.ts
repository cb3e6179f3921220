import { type Digest, digestOf } from '../../core/digest.ts';
import { ociIndex, ociManifest } from '../../core/media-types.ts';
import { sampleBytes } from '../../store/testing/sample-content.ts';

export interface TestManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

export interface TestBlob {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

export interface TestImage {
  readonly manifest: TestManifest;
  readonly config: TestBlob;
  readonly layer: TestBlob;
  readonly blobs: readonly TestBlob[];
}

/** An image of a config and one layer; images of different seeds share nothing. */
export function testImage(
  seed: number,
  layerBytes = 3000,
  layerType = 'application/vnd.oci.image.layer.v1.tar',
): TestImage {
  const config = blobOf(Buffer.from(JSON.stringify({ architecture: 'amd64', seed })));
  const layer = blobOf(sampleBytes(seed, layerBytes));
  const manifest = manifestOf(ociManifest, {
    config: descriptor(config, 'application/vnd.oci.image.config.v1+json'),
    layers: [descriptor(layer, layerType)],
  });
  return { manifest, config, layer, blobs: [config, layer] };
}

export function testIndex(...children: readonly TestManifest[]): TestManifest {
  return manifestOf(ociIndex, { manifests: children.map((child) => descriptor(child, child.mediaType)) });
}

function manifestOf(mediaType: string, content: object): TestManifest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...content }));
  return { digest: digestOf(bytes), mediaType, bytes };
}

function blobOf(bytes: Uint8Array): TestBlob {
  return { digest: digestOf(bytes), bytes };
}

function descriptor({ digest, bytes }: TestBlob, mediaType: string): object {
  return { mediaType, digest, size: bytes.length };
}
