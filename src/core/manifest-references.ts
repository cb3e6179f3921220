import type { Descriptor } from './descriptor.ts';
import { parseDigest } from './digest.ts';
import { AppError } from './errors.ts';
import {
  bareMediaType,
  isForeignLayer,
  isIndexMediaType,
  isManifestMediaType,
  isMediaType,
  ociIndex,
  ociManifest,
} from './media-types.ts';

/** The largest manifest that is accepted: the size that registries must support (distribution-spec "Pushing Manifests"). */
export const maxManifestBytes = 4 * 2 ** 20;

export interface ManifestReference extends Descriptor {
  /** Whether a repository that serves the manifest must have this too. Not so for a layer that may come from elsewhere. */
  readonly provesPossession: boolean;
}

export interface ManifestReferences {
  /** What kind of manifest it is: the type it was served with or, where that says nothing, the type it gives itself. */
  readonly mediaType: string;
  /** Manifests that it lists, if it is an index. */
  readonly children: readonly ManifestReference[];
  /** Its config and layers, if it is an image manifest. */
  readonly blobs: readonly ManifestReference[];
}

/**
 * What a manifest references. `subject` is not among it: a manifest may be served without it. Content under digests of
 * algorithms that we cannot verify is left out, and a manifest of a type that we do not know references nothing.
 *
 * @param servedAs the Content-Type that the manifest came with
 * @throws AppError MANIFEST_TOO_LARGE; UPSTREAM_INVALID where it is no JSON, contradicts its media type, is an index and
 *   an image manifest at once (CVE-2021-41190), or holds a malformed descriptor
 */
export function manifestReferences(bytes: Uint8Array, servedAs: string): ManifestReferences {
  if (bytes.byteLength > maxManifestBytes) {
    throw new AppError(
      'MANIFEST_TOO_LARGE',
      `the manifest has ${bytes.byteLength} bytes, more than ${maxManifestBytes}`,
    );
  }
  const document = parseObject(bytes);
  const mediaType = mediaTypeOf(document, bareMediaType(servedAs));
  const isIndex = 'manifests' in document;
  if (isIndex && ('layers' in document || 'config' in document)) throw invalid('it is both an index and an image');
  if (!isManifestMediaType(mediaType)) return { mediaType, children: [], blobs: [] };
  if (isIndex !== isIndexMediaType(mediaType)) throw invalid(`it is no ${mediaType}`);
  if (isIndex) return { mediaType, children: descriptors(document.manifests), blobs: [] };
  const config = document.config === undefined ? [] : descriptors([document.config]);
  return { mediaType, children: [], blobs: [...config, ...descriptors(document.layers ?? [])] };
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseObject(bytes: Uint8Array): JsonObject {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AppError('UPSTREAM_INVALID', 'the manifest is not JSON', { cause });
  }
  if (!isObject(document)) throw invalid('it is no JSON object');
  return document;
}

function mediaTypeOf(document: JsonObject, servedAs: string): string {
  const own = typeof document.mediaType === 'string' ? bareMediaType(document.mediaType) : undefined;
  if (isManifestMediaType(servedAs)) {
    if (own !== undefined && own !== servedAs) throw invalid(`it says ${own} but was served as ${servedAs}`);
    return servedAs;
  }
  if (own !== undefined) return isMediaType(own) ? own : servedAs;
  // A registry that serves manifests as plain JSON; only OCI's may leave their type out.
  if (document.schemaVersion !== 2) return servedAs;
  return 'manifests' in document ? ociIndex : 'layers' in document ? ociManifest : servedAs;
}

function descriptors(list: unknown): ManifestReference[] {
  if (!Array.isArray(list)) throw invalid('its list of references is no list');
  const seen = new Set<string>();
  const references: ManifestReference[] = [];
  for (const entry of list) {
    const reference = parseDescriptor(entry);
    if (reference === undefined || seen.has(reference.digest)) continue;
    seen.add(reference.digest);
    references.push(reference);
  }
  return references;
}

const digestGrammar = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;

function parseDescriptor(entry: unknown): ManifestReference | undefined {
  if (!isObject(entry)) throw invalid('it holds a reference that is no object');
  const { digest: digestText, size, mediaType = 'application/octet-stream', urls } = entry;
  if (typeof digestText !== 'string' || !digestGrammar.test(digestText)) throw invalid('it holds a malformed digest');
  if (typeof mediaType !== 'string') throw invalid('it holds a malformed media type');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw invalid('it holds a malformed size');
  const digest = parseDigest(digestText);
  if (digest === undefined) return undefined;
  const isElsewhere = isForeignLayer(mediaType) || (Array.isArray(urls) && urls.length > 0);
  return {
    digest,
    mediaType: isMediaType(mediaType) ? mediaType : 'application/octet-stream',
    sizeBytes: size,
    provesPossession: !isElsewhere,
  };
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(why: string): AppError {
  return new AppError('UPSTREAM_INVALID', `the manifest is not valid: ${why}`);
}
