/** What an image runs on (image-spec "Image Index", `platform`). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

const part = '[a-z0-9][a-z0-9._-]{0,63}';
const grammar = new RegExp(`^(${part})/(${part})(?:/(${part}))?$`);

/** A platform as people write it: `linux/arm64`, `linux/arm/v7`. */
export function parsePlatform(text: string): Platform | undefined {
  const [, os, architecture, variant] = grammar.exec(text) ?? [];
  return os === undefined || architecture === undefined ? undefined : { os, architecture, variant };
}

export function platformText({ os, architecture, variant }: Platform): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/**
 * Whether who wants `wanted` takes `offered`. Without a variant all of them are meant; an offer that has none is of the
 * architecture's usual one (image-spec "Platform Variants": v8 of arm64, v7 of arm, and v1 of amd64 as its makers name it).
 */
export function isPlatform(offered: Platform, wanted: Platform): boolean {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return false;
  return wanted.variant === undefined || wanted.variant === (offered.variant ?? usualVariant(offered.architecture));
}

function usualVariant(architecture: string): string | undefined {
  return { arm64: 'v8', arm: 'v7', amd64: 'v1' }[architecture];
}

/** The platform that a JSON document names by `os`, `architecture` and `variant`: a descriptor's, or an image's own. */
export function platformOf(document: unknown): Platform | undefined {
  if (typeof document !== 'object' || document === null) return undefined;
  const { os, architecture, variant } = document as Readonly<Record<string, unknown>>;
  const text = [os, architecture, variant].filter((value) => typeof value === 'string' && value !== '').join('/');
  // Attestations are listed beside the images that they are about, for a platform that nothing runs on.
  return text.startsWith('unknown/') ? undefined : parsePlatform(text);
}
