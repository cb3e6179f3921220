import { type Digest, digestOf } from '../../core/digest.ts';
import { ociManifest } from '../../core/media-types.ts';
import type { RepositoryName } from '../../core/repository-name.ts';
import { type Scope, sharedIdentity } from '../../core/scope.ts';

/** Bytes that look random and are the same for the same seed. */
export function sampleBytes(seed: number, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  let state = (seed + 1) * 2654435761;
  for (let index = 0; index < sizeBytes; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

export function sampleBlob(seed: number, sizeBytes: number): { digest: Digest; bytes: Uint8Array } {
  const bytes = sampleBytes(seed, sizeBytes);
  return { digest: digestOf(bytes), bytes };
}

/** A digest of nothing that exists. */
export function sampleDigest(name: string): Digest {
  return digestOf(Buffer.from(name));
}

export function sampleScope(repository: string, registry = 'docker.io'): Scope {
  return { registry, repository: repository as RepositoryName, identity: sharedIdentity };
}

/** An image manifest that references `blobs`, the first one as its config. */
export function sampleManifest(blobs: readonly { digest: Digest; bytes: Uint8Array }[]) {
  const [config, ...layers] = blobs.map(({ digest, bytes }) => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest,
    size: bytes.byteLength,
  }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers }));
  const references = blobs.map((blob) => blob.digest);
  return { digest: digestOf(bytes), bytes, mediaType: ociManifest, sizeBytes: bytes.byteLength, references };
}
