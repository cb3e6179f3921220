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

export type ClientConfiguration = ClientFiles | NoConfiguration;

export interface ClientFiles {
  readonly kind: 'files';
  /** One at least. */
  readonly files: readonly ClientFile[];
  /** What else is to be done, in sentences. */
  readonly next: readonly string[];
  /** What it does not do, in sentences. */
  readonly warnings: readonly string[];
}

/** The client cannot pull through a cache that is as this one is. */
export interface NoConfiguration {
  readonly kind: 'none';
  readonly why: string;
  /** What would be right. */
  readonly hint: string | undefined;
}

export function urlOf({ address, isTls }: Pick<CacheFacts, 'address' | 'isTls'>): string {
  return `${isTls ? 'https' : 'http'}://${address}`;
}

/** How whoever reads the advice can tell what is not known: a flag of the command, a field of the page. */
export interface WaysToTell {
  readonly address: string;
  readonly ca: string;
}
