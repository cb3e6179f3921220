import type { Digest } from '../core/digest.ts';

export interface UpstreamManifest {
  /** Docker-Content-Digest, where it is there and valid: what upstream claims, verified by nobody yet. */
  readonly digest: Digest | undefined;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

export interface UpstreamManifestHead {
  readonly digest: Digest | undefined;
  readonly mediaType: string;
  readonly sizeBytes: number | undefined;
}

export interface UpstreamBlobHead {
  readonly sizeBytes: number | undefined;
  readonly mediaType: string | undefined;
}

export interface UpstreamList {
  readonly body: Uint8Array;
  readonly mediaType: string;
  /** The next page's query string, without `?`. */
  readonly nextQuery: string | undefined;
}

export interface UpstreamReferrers extends UpstreamList {
  /** OCI-Filters-Applied. */
  readonly filtersApplied: string | undefined;
}
