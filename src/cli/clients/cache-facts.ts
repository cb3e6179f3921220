/** What a client has to know of a cache. */
export interface CacheFacts {
  /** `host:port`, as clients reach it. */
  readonly address: string;
  readonly isTls: boolean;
  /** The file, at the client, with the authority that signed the cache's certificate; undefined: one that everybody trusts. */
  readonly ca: string | undefined;
  readonly registries: readonly CachedRegistry[];
}

export interface CachedRegistry {
  /** As images are named by it. */
  readonly name: string;
  /** Where the cache pulls from. */
  readonly endpoints: readonly string[];
  readonly isDefault: boolean;
}

/** A file for a client to be put somewhere, and what to do then. */
export interface ClientFile {
  /** Where it belongs on the client. */
  readonly path: string;
  readonly content: string;
}

export interface ClientConfiguration {
  readonly files: readonly ClientFile[];
  /** What else is to be done, in sentences. */
  readonly next: readonly string[];
  /** What it does not do, in sentences. */
  readonly warnings: readonly string[];
}

export function urlOf({ address, isTls }: Pick<CacheFacts, 'address' | 'isTls'>): string {
  return `${isTls ? 'https' : 'http'}://${address}`;
}
