import { type Digest, parseDigest } from './digest.ts';

/** A tag as in distribution-spec "Pulling manifests" (`<reference>` as a tag). */
export type Tag = string & { readonly __brand: 'Tag' };

/** What a manifest is asked by. */
export type Reference =
  | { readonly kind: 'tag'; readonly tag: Tag }
  | { readonly kind: 'digest'; readonly digest: Digest };

const tagGrammar = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

export function parseTag(text: string): Tag | undefined {
  return tagGrammar.test(text) ? (text as Tag) : undefined;
}

export function parseReference(text: string): Reference | undefined {
  const digest = parseDigest(text);
  if (digest !== undefined) return { kind: 'digest', digest };
  const tag = parseTag(text);
  return tag === undefined ? undefined : { kind: 'tag', tag };
}

export function referenceText(reference: Reference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest;
}
