import type { Digest } from '../core/digest.ts';

/**
 * How nodes ask each other, over HTTP/1.1 (RFC 9110, 9112):
 *
 *     GET /onepull/peer/v1/blobs/<digest>        Range as for clients; what is still to come is sent as it comes
 *     GET /onepull/peer/v1/manifests/<digest>
 *
 * 404 with our word for it (`peerHeaders.error`) BLOB_UNKNOWN or MANIFEST_UNKNOWN: it is not here, nor on its way. Any other 404: this
 * version is not spoken there. 503: this node sends to as many as it may. Nothing of this causes a request to upstream
 * that the node would not make for itself. A later version keeps this one for at least one release.
 */
export const peerProtocol = 1;

const root = `/onepull/peer/v${peerProtocol}/`;

export function blobPath(digest: Digest): string {
  return `${root}blobs/${digest}`;
}

export function manifestPath(digest: Digest): string {
  return `${root}manifests/${digest}`;
}

/** What a path names, or undefined where it is none of ours. */
export function peerRoute(path: string): { readonly what: 'blob' | 'manifest'; readonly name: string } | undefined {
  if (!path.startsWith(root)) return undefined;
  const [what, name, ...more] = path.slice(root.length).split('/');
  if (name === undefined || more.length > 0) return undefined;
  if (what === 'blobs') return { what: 'blob', name };
  return what === 'manifests' ? { what: 'manifest', name } : undefined;
}

/** Headers of answers, beside those of HTTP. */
export const peerHeaders = {
  /** The size of the whole blob, where it is known. */
  blobSize: 'onepull-blob-size',
  /** Why there is no body: our word for it (docs/ERRORS.md). */
  error: 'onepull-error',
} as const;
