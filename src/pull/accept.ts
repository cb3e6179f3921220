import { bareMediaType, manifestMediaTypes } from '../core/media-types.ts';

/** What a client accepts for a manifest, reduced to what upstream's answer can depend on. */
export interface AcceptVariant {
  /** Names the variant: requests of one variant share upstream's answer. */
  readonly key: string;
  /** The Accept header to send. */
  readonly header: string;
  /** The manifest types that it takes. */
  readonly types: readonly string[];
}

/** The keys of all variants that a tag may have been resolved for; the one that takes everything first. */
export const variantKeys: readonly string[] = Array.from({ length: 2 ** manifestMediaTypes.length - 1 }, (_, n) =>
  (2 ** manifestMediaTypes.length - 1 - n).toString(2).padStart(manifestMediaTypes.length, '0'),
);

/**
 * The variant of an Accept header. Clients list the manifest types in all orders and with extras of their own; what
 * matters is which of the four they take. A client that lists none of them (curl, for one) takes what there is.
 */
export function acceptVariant(accept: string | undefined): AcceptVariant {
  const listed = new Set((accept ?? '').split(',').map(bareMediaType));
  const named = manifestMediaTypes.filter((type) => listed.has(type));
  const types = named.length === 0 || listed.has('*/*') ? manifestMediaTypes : named;
  const key = manifestMediaTypes.map((type) => (types.includes(type) ? '1' : '0')).join('');
  return { key, header: types.join(', '), types };
}
