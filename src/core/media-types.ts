/** Media types of manifests (image-spec "Media Types", Docker image manifest v2.2). */
export const ociIndex = 'application/vnd.oci.image.index.v1+json';
export const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
export const dockerManifestList = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';

export const manifestMediaTypes: readonly string[] = [ociIndex, ociManifest, dockerManifestList, dockerManifest];

export function isManifestMediaType(mediaType: string): boolean {
  return manifestMediaTypes.includes(mediaType);
}

export function isIndexMediaType(mediaType: string): boolean {
  return mediaType === ociIndex || mediaType === dockerManifestList;
}

/**
 * Layers that a registry need not have: it accepts a manifest that names them without checking that they exist, so that
 * such a manifest proves nothing about the repository (image-spec "Non-Distributable Layers").
 */
export function isForeignLayer(mediaType: string): boolean {
  return mediaType.includes('.nondistributable.') || mediaType.includes('.foreign.');
}

/** The media type without its parameters, in lower case. */
export function bareMediaType(header: string): string {
  return (header.split(';', 1)[0] ?? '').trim().toLowerCase();
}

const name = '[a-z0-9][a-z0-9!#$&^_.+-]{0,126}';
const grammar = new RegExp(`^${name}/${name}(?: *;[\\x20-\\x7e]{0,200})?$`, 'i');

/**
 * Whether the text may stand where a media type does (RFC 6838 section 4.2), parameters included. It is kept, shown and sent in
 * headers, so it is neither as long as a manifest may be, nor does it break a line.
 */
export function isMediaType(text: string): boolean {
  return grammar.test(text);
}
