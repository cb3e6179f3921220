import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import type { RepositoryName } from '../core/repository-name.ts';
import type { Source } from '../flights/source.ts';

/**
 * What pulling needs of an upstream registry. One attempt each; every call rejects with an `AppError`. `ageMs`: so long ago
 * upstream said so, to another node; left out: just now.
 */
export interface Registry {
  getManifest(
    repository: RepositoryName,
    reference: string,
    accept: string,
    maxBytes: number,
    signal: AbortSignal,
    maxAgeMs?: number,
  ): Promise<{ digest: Digest | undefined; mediaType: string; bytes: Uint8Array; ageMs?: number }>;
  /**
   * Undefined: this registry does not do HEAD, which says nothing of the manifest. `maxAgeMs`, here and above: how old an answer
   * that upstream gave another node may be, where it is not for the registry to say.
   */
  headManifest(
    repository: RepositoryName,
    reference: string,
    accept: string,
    signal: AbortSignal,
    maxAgeMs?: number,
  ): Promise<
    { digest: Digest | undefined; mediaType: string; sizeBytes: number | undefined; ageMs?: number } | undefined
  >;
  headBlob(
    repository: RepositoryName,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<{ sizeBytes: number | undefined; mediaType: string | undefined }>;
  /** Where a blob can be read from: one for each endpoint, in order of preference. At least one. */
  blobSources(repository: RepositoryName, digest: Digest): readonly BlobSource[];
  /** `query`, of this and the next: the query string without `?`, in upstream's own terms. */
  listTags(repository: RepositoryName, query: string, signal: AbortSignal): Promise<UpstreamList>;
  /** Undefined: this registry has no referrers API. */
  referrers(
    repository: RepositoryName,
    digest: Digest,
    query: string,
    signal: AbortSignal,
  ): Promise<(UpstreamList & { filtersApplied: string | undefined }) | undefined>;
  /** For so long all that anybody asked of it has failed, in ms; 0: it is not known to be down. */
  outageMs(): number;
}

/** As a flight's source, but for what a flight calls it by. `name` is the endpoint's. */
export type BlobSource = Pick<Source, 'name' | 'standing' | 'open' | 'discredit'>;

export interface UpstreamList {
  readonly body: Uint8Array;
  readonly mediaType: string;
  readonly nextQuery: string | undefined;
}

export interface Upstream {
  readonly registry: Registry;
  /** So long is a tag's digest taken as known. */
  readonly tagTtlMs: number;
}

/** The configured upstreams, by the name of the registry that clients use. */
export class Upstreams {
  readonly #byName: ReadonlyMap<string, Upstream>;

  constructor(byName: ReadonlyMap<string, Upstream>) {
    this.#byName = byName;
  }

  get(registry: string): Upstream {
    const upstream = this.#byName.get(registry);
    if (upstream === undefined) throw new AppError('REGISTRY_UNKNOWN', `${registry} is not a configured registry`);
    return upstream;
  }
}
